import { mkdtemp, readFile, rm, writeFile as writeBytes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { MediaFailure } from '../failure.ts'
import type { ByteSpan, FragmentIndex } from './fragment-index.ts'
import { planLayout } from './layout.ts'
import { readTrack } from './read/read-track.ts'
import { planSegments } from './segments.ts'
import type { Track } from './track.ts'
import { aTrack, audioEntry, type Sample } from './tracks.fixture.ts'
import { writeFile } from './write-file.ts'

const dir = await mkdtemp(join(tmpdir(), 'videoflix-mp4-'))
afterAll(() => rm(dir, { recursive: true }))
const { signal } = new AbortController()

const size = fc.integer({ min: 0, max: 300 })
const duration = fc.oneof(fc.constant(40), fc.integer({ min: 0, max: 2000 }))
const picture: fc.Arbitrary<Sample> = fc.record({
  ...{ size, duration, isSync: fc.boolean() },
  compositionOffset: fc.oneof(fc.constant(0), fc.integer({ min: -3000, max: 3000 })),
})
const packet = fc.record({
  ...{ size, duration, compositionOffset: fc.constant(0), isSync: fc.constant(true) },
})

interface Film {
  pictures: Sample[]
  packets: Sample[]
  timescale: number
  mediaTime: number
  startSeconds: number
  minSegmentSeconds: number
}

const film: fc.Arbitrary<Film> = fc
  .record({
    pictures: fc.array(picture, { maxLength: 40 }),
    packets: fc.array(packet, { maxLength: 40 }),
    timescale: fc.constantFrom(1000, 12_800, 24_000, 30_000, 90_000),
    mediaTime: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3000 })),
    // Of the last, ticks have more than 32 bits.
    startSeconds: fc.constantFrom(0, 0, 0.1, 3.75, 100_000),
    minSegmentSeconds: fc.constantFrom(0.1, 0.5, 2),
  })
  .filter(({ pictures, packets }) => pictures.length + packets.length > 0)
  .map(({ pictures: [first, ...others], minSegmentSeconds, ...rest }) => ({
    ...rest,
    pictures: first === undefined ? [] : [{ ...first, isSync: true }, ...others],
    // Sound alone that begins after a day is cut from 0 on.
    minSegmentSeconds: first === undefined ? 100 * minSegmentSeconds : minSegmentSeconds,
  }))

/** Its samples in files of their own, and it packaged. */
async function packaged(
  made: Film,
): Promise<{ video: Track | null; audio: Track | null; path: string; index: FragmentIndex }> {
  const { timescale, mediaTime, startSeconds } = made
  const start = (ticks: number): Partial<Track> => {
    return { timescale: ticks, mediaTime, startTicks: startSeconds * ticks }
  }
  const video = await stored('video', made.pictures, start(timescale))
  const audio = await stored('audio', made.packets, { entry: audioEntry(), ...start(48_000) })
  const segments = planSegments(video, audio, made)
  const layout = planLayout(video, audio, segments)
  const path = join(dir, 'film.mp4')
  await writeFile(path, layout, signal)
  return { video, audio, path, index: layout.index }
}

/** Other bytes lie before every third sample: what is to be copied is not always in one piece. */
function scattered(track: Track): Track {
  track.samples.offsets.forEach((offset, at) => {
    track.samples.offsets[at] = offset + 5 * Math.floor(at / 3)
  })
  return track
}

async function stored(
  name: string,
  samples: Sample[],
  fields: Partial<Track>,
): Promise<Track | null> {
  if (samples.length === 0) return null
  const path = join(dir, name)
  const length = samples.reduce((sum, sample) => sum + sample.size + 5, 0)
  await writeBytes(path, Buffer.from(Array.from({ length }, (_, at) => (at * 7919) >> 3)))
  return scattered(aTrack(samples, { ...fields, parts: [{ path, firstSample: 0 }] }))
}

/** All that a track says, and the bytes of its samples. */
async function told(track: Track): Promise<object> {
  const { samples, entry, timescale, mediaTime, startTicks, parts } = track
  const bytes = await readFile(parts[0]?.path ?? '')
  return {
    ...{ entry, timescale, mediaTime, startTicks },
    ...{ sizes: samples.sizes, times: samples.times, syncs: samples.syncs },
    compositionOffsets: samples.compositionOffsets,
    data: Array.from(samples.offsets, (offset, at) => {
      return bytes.toString('hex', offset, offset + (samples.sizes[at] ?? 0))
    }),
  }
}

/** What a player of fragments gets: an init and all that follows. */
async function fragmented(path: string, init: ByteSpan, index: FragmentIndex): Promise<string> {
  const bytes = await readFile(path)
  const lastInit = index.initBoth ?? index.video?.init ?? index.audio?.init ?? [0, 0]
  const fragments = bytes.subarray(lastInit[0] + lastInit[1])
  const view = join(dir, 'fragments.mp4')
  await writeBytes(view, Buffer.concat([bytes.subarray(init[0], init[0] + init[1]), fragments]))
  return view
}

test('whatever is packaged is read again, from the whole file and from its fragments', async () => {
  await fc.assert(
    fc.asyncProperty(film, async (made) => {
      const { path, index, ...tracks } = await packaged(made)
      for (const kind of ['video', 'audio'] as const) {
        const track = tracks[kind]
        if (track === null) continue
        const inits = [index[kind]?.init ?? null, index.initBoth].filter((init) => init !== null)
        const found = [await told(await readTrack(path, kind, signal))]
        for (const init of inits) {
          const view = await fragmented(path, init, index)
          found.push(await told(await readTrack(view, kind, signal)))
        }
        const expected = await told(track)
        expect(found).toEqual(found.map(() => expected))
      }
    }),
    { numRuns: 150 },
  )
})

function typesIn(bytes: Buffer, [offset, length]: ByteSpan): string[] {
  const types: string[] = []
  let at = offset
  while (at < offset + length) {
    types.push(bytes.toString('latin1', at + 4, at + 8))
    at += bytes.readUInt32BE(at)
  }
  expect(at).toBe(offset + length)
  return types
}

test('every span of the index is what it says, and together they are the rest of the file', async () => {
  await fc.assert(
    fc.asyncProperty(film, async (made) => {
      const { path, index } = await packaged(made)
      const bytes = await readFile(path)
      expect(bytes).toHaveLength(index.sizeBytes)
      const tracks = [index.video, index.audio].filter((track) => track !== null)
      const inits = [...tracks.map(({ init }) => init), ...(index.initBoth ? [index.initBoth] : [])]
      expect(index.initBoth === null).toBe(tracks.length === 1)
      for (const init of inits) expect(typesIn(bytes, init)).toEqual(['ftyp', 'moov'])
      let end = inits[0]?.[0] ?? 0
      for (const [offset, length] of inits) {
        expect(offset).toBe(end)
        end += length
      }
      const segments = new Set(tracks.map(({ durations }) => durations.length))
      expect(segments.size).toBe(1)
      for (const segment of tracks[0]?.durations.keys() ?? []) {
        for (const { offsets, lengths, keyframeLengths } of tracks) {
          const [offset = 0, length = 0] = [offsets[segment], lengths[segment]]
          expect(offset).toBe(end)
          end += length
          expect(typesIn(bytes, [offset, length])).toEqual(length === 0 ? [] : ['moof', 'mdat'])
          expect(keyframeLengths?.[segment] ?? 0).toBeLessThanOrEqual(length)
        }
      }
      expect(end).toBe(index.sizeBytes)
    }),
    { numRuns: 100 },
  )
})

test('the same film becomes the same bytes', async () => {
  const [made] = fc.sample(film, 1)
  if (made === undefined) throw new Error('no film')
  const once = await readFile((await packaged(made)).path)
  expect((await readFile((await packaged(made)).path)).equals(once)).toBe(true)
})

test('a damaged file is refused with a sentence, or read; it never hangs or takes all memory', async () => {
  const damage = fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(255)), {
    ...{ minLength: 1, maxLength: 6 },
  })
  await fc.assert(
    fc.asyncProperty(film, damage, fc.boolean(), async (made, changes, inFragments) => {
      const { path, index } = await packaged(made)
      const init = index.initBoth ?? index.video?.init ?? index.audio?.init ?? [0, 0]
      const whole = inFragments ? await fragmented(path, init, index) : path
      const bytes = await readFile(whole)
      for (const [where, value] of changes) bytes[Math.floor(where * (bytes.length - 1))] = value
      const view = join(dir, 'damaged.mp4')
      await writeBytes(view, bytes)
      const kind = index.video === null ? 'audio' : 'video'
      const sentence = await readTrack(view, kind, signal).then(
        () => 'it was read',
        (error: unknown) => (error instanceof MediaFailure ? error.sentence : String(error)),
      )
      expect(sentence).toMatch(/^it was read$|^The converted film cannot be packaged: .*\.$/)
    }),
    { numRuns: 150 },
  )
})
