import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ALL_FORMATS, EncodedPacketSink, FilePathSource, Input } from 'mediabunny'
import { createFile, Log, MP4BoxBuffer } from 'mp4box'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { MediaFailure } from '../../server/src/media/failure.ts'
import { describeCopy } from '../../server/src/media/mp4/describe-copy.ts'
import {
  packageFile,
  type PackagedFile,
  type PackageInput,
} from '../../server/src/media/mp4/package-file.ts'
import { frames, packets, viewsOf, type Packet, type Views } from './views.ts'

const exec = promisify(execFile)
const dir = await mkdtemp(join(tmpdir(), 'videoflix-packager-'))
afterAll(() => rm(dir, { recursive: true }))
const { signal } = new AbortController()

interface Encode {
  /** Of a test picture with 25 pictures a second; null is none. */
  video: { seconds: number; args: string } | null
  /** Of a tone; null is none. */
  audio: { seconds: number; args?: string } | null
  /** Both are written anew by ffmpeg like this, before they are packaged. */
  remux?: string
}

const X264 = '-c:v libx264 -preset veryfast -b:v 150k'
const PLAIN = `${X264} -g 25 -bf 0`
const REORDERED = `${X264} -g 25 -bf 3 -x264-params b-pyramid=normal:b-adapt=0`

const ENCODES = {
  'B-frames': { video: { seconds: 6, args: REORDERED }, audio: { seconds: 6 } },
  'no B-frames': { video: { seconds: 5, args: PLAIN }, audio: { seconds: 5 } },
  'no sound': { video: { seconds: 5, args: REORDERED }, audio: null },
  'sound alone': { video: null, audio: { seconds: 5 } },
  'one frame': { video: { seconds: 0.04, args: PLAIN }, audio: null },
  'one frame with sound': { video: { seconds: 0.04, args: PLAIN }, audio: { seconds: 0.04 } },
  'half a second': { video: { seconds: 0.5, args: REORDERED }, audio: { seconds: 0.5 } },
  'only keyframes': { video: { seconds: 3, args: `${X264} -g 1` }, audio: { seconds: 3 } },
  'sound outlasts picture': { video: { seconds: 3, args: REORDERED }, audio: { seconds: 8 } },
  'picture outlasts sound': { video: { seconds: 6, args: REORDERED }, audio: { seconds: 1 } },
  '23.976 a second': {
    video: { seconds: 5, args: `-vf fps=24000/1001 ${REORDERED} -video_track_timescale 48000` },
    audio: { seconds: 5, args: '-ar 44100' },
  },
  'frames at odd times': {
    video: {
      seconds: 6,
      args: `-vf select=lt(mod(n\\,11)\\,4)+eq(n\\,0) -fps_mode vfr ${REORDERED} -video_track_timescale 90000`,
    },
    audio: { seconds: 6 },
  },
  'fragmented by ffmpeg': {
    ...{ video: { seconds: 5, args: REORDERED }, audio: { seconds: 5 } },
    remux: '-movflags frag_keyframe+empty_moov+delay_moov+default_base_moof',
  },
  'fragmented as of old': {
    ...{ video: { seconds: 5, args: REORDERED }, audio: { seconds: 5 } },
    remux: '-movflags empty_moov+delay_moov -frag_duration 300000',
  },
  'half fragmented by ffmpeg': {
    ...{ video: { seconds: 5, args: PLAIN }, audio: null },
    remux: '-movflags frag_keyframe',
  },
  'picture begins late': {
    video: { seconds: 5, args: `${REORDERED} -output_ts_offset 0.52` },
    audio: { seconds: 5 },
  },
  'sound begins late': {
    video: { seconds: 5, args: PLAIN },
    audio: { seconds: 5, args: '-output_ts_offset 2.6' },
  },
} satisfies Record<string, Encode>

type Name = keyof typeof ENCODES

interface Encoded {
  videoPath: string | null
  audioPath: string | null
}

let made = 0

/** A new file, made by ffmpeg. */
async function ffmpeg(...args: string[]): Promise<string> {
  made += 1
  const path = join(dir, `encoded-${made}.mp4`)
  await exec('ffmpeg', ['-v', 'error', '-nostdin', '-y', ...args, path])
  return path
}

function picture(seconds: number, ...args: string[]): Promise<string> {
  const source = `testsrc2=size=192x144:rate=25:duration=${seconds}`
  return ffmpeg('-f', 'lavfi', '-i', source, '-pix_fmt', 'yuv420p', ...args)
}

async function encoded(name: Name): Promise<Encoded> {
  const { video, audio }: Encode = ENCODES[name]
  const tone = `aevalsrc=sin(880*t)/4:s=48000:d=${audio?.seconds ?? 0}`
  const words = (text: string): string[] => text.split(' ').filter((word) => word !== '')
  return {
    videoPath: video && (await picture(video.seconds, ...words(video.args))),
    audioPath:
      audio && (await ffmpeg('-f', 'lavfi', '-i', tone, '-c:a', 'aac', ...words(audio.args ?? ''))),
  }
}

async function remuxed(path: string | null, args: string): Promise<string | null> {
  return path && ffmpeg('-i', path, '-c', 'copy', ...args.split(' '))
}

interface Film extends Encoded {
  /** `videoPath` and `audioPath` are what was encoded: all is compared with them. */
  path: string
  packaged: PackagedFile
  views: Views
}

async function packaged(
  { videoPath, audioPath }: Encoded,
  options: Partial<PackageInput> = {},
): Promise<Film> {
  made += 1
  const path = join(dir, `packaged-${made}.mp4`)
  const video = videoPath === null ? [] : [{ path: videoPath, startSeconds: 0 }]
  const result = await packageFile({ video, audioPath, outputPath: path, signal, ...options })
  const views = await viewsOf(path, result.index)
  return { videoPath, audioPath, path, packaged: result, views }
}

const films = new Map<Name, Promise<Film>>()

function film(name: Name): Promise<Film> {
  const known = films.get(name) ?? makeFilm(name)
  films.set(name, known)
  return known
}

async function makeFilm(name: Name): Promise<Film> {
  const { remux }: Encode = ENCODES[name]
  const files = await encoded(name)
  if (remux === undefined) return packaged(files)
  const videoPath = await remuxed(files.videoPath, remux)
  const audioPath = await remuxed(files.audioPath, remux)
  return { ...(await packaged({ videoPath, audioPath })), ...files }
}

/** Fragments show the priming of AAC, and ffprobe guesses their last duration. */
function withoutDurations(list: Packet[]): Packet[] {
  return list.map((packet) => ({ ...packet, duration: 'any' }))
}

const PRIMING_FRAMES = 1

/** Hashes of the decoded frames. */
async function sounds(path: string): Promise<(string | undefined)[]> {
  return (await frames(path, 'a')).map((line) => line.split(',').at(-1))
}

const names = Object.keys(ENCODES) as Name[]

function namesWith(kind: 'video' | 'audio'): Name[] {
  return names.filter((name) => ENCODES[name][kind] !== null)
}

describe.concurrent('picture is in all views what was encoded', () => {
  test.for(namesWith('video'))('%s', async (name) => {
    const { path, videoPath, views, packaged } = await film(name)
    const expected = await packets(videoPath ?? '', 'v')
    expect(await packets(path, 'v')).toEqual(expected)
    const hashes = await frames(videoPath ?? '', 'v')
    expect(hashes).toHaveLength(packaged.video?.frames ?? 0)
    expect(await frames(path, 'v')).toEqual(hashes)
    for (const view of [views.fragments, views.video ?? '']) {
      expect(withoutDurations(await packets(view, 'v'))).toEqual(withoutDurations(expected))
    }
    expect(await frames(views.fragments, 'v')).toEqual(hashes)
  })
})

describe.concurrent('sound is in all views what was encoded, but for priming', () => {
  test.for(namesWith('audio'))('%s', async (name) => {
    const { path, audioPath, views } = await film(name)
    const expected = await packets(audioPath ?? '', 'a')
    expect(await packets(path, 'a')).toEqual(expected)
    const hashes = await sounds(audioPath ?? '')
    expect(await sounds(path)).toEqual(hashes)
    for (const view of [views.fragments, views.audio ?? '']) {
      expect(withoutDurations(await packets(view, 'a'))).toEqual(withoutDurations(expected))
    }
    const heard = await sounds(views.fragments)
    expect(heard.slice(-hashes.length)).toEqual(hashes)
    expect(heard.length - hashes.length).toBeLessThanOrEqual(PRIMING_FRAMES)
  })
})

describe.concurrent('other readers agree', () => {
  test.for(names)('%s', async (name) => {
    const { path, views, packaged } = await film(name)
    const tracks = [packaged.index.video, packaged.index.audio].filter((track) => track !== null)
    for (const view of [path, views.fragments]) {
      const input = new Input({ source: new FilePathSource(view), formats: ALL_FORMATS })
      const found = await input.getTracks()
      expect(found).toHaveLength(tracks.length)
      expect(await Promise.all(found.map((track) => track.getCodecParameterString()))).toEqual(
        tracks.map(({ codec }) => codec),
      )
      for (const track of found) {
        const kind = track.isVideoTrack() ? 'v' : 'a'
        const sizes: string[] = []
        for await (const packet of new EncodedPacketSink(track).packets()) {
          sizes.push(String(packet.byteLength))
        }
        expect(sizes).toEqual((await packets(path, kind)).map(({ size }) => size))
      }
      input.dispose()
    }
  })
})

test('mp4box reads every view without a warning', async () => {
  const warn = vi.spyOn(Log, 'warn')
  const error = vi.spyOn(Log, 'error')
  for (const name of names) {
    const { path, views, packaged } = await film(name)
    for (const view of [path, views.fragments]) {
      const file = createFile()
      const bytes = await readFile(view)
      file.appendBuffer(MP4BoxBuffer.fromArrayBuffer(new Uint8Array(bytes).buffer, 0), true)
      file.flush()
      const { tracks } = file.getInfo()
      const counts = tracks.map(({ id }) => file.getTrackSamplesInfo(id).length)
      expect(Math.max(...counts)).toBeGreaterThanOrEqual(packaged.video?.frames ?? 1)
    }
  }
  expect(warn.mock.calls).toEqual([])
  expect(error.mock.calls).toEqual([])
})

test('a film is described as it is', async () => {
  const { packaged: made, path } = await film('23.976 a second')
  expect(made.video).toEqual({ width: 192, height: 144, frames: 120, frameRate: '24000/1001' })
  expect(made.audio).toMatchObject({ channels: 1 })
  expect(made.index.video?.codec).toMatch(/^avc1\.6400[0-9a-f]{2}$/)
  expect(made.index.audio?.codec).toBe('mp4a.40.2')
  expect(made.durationMs).toBe(5005)
  const { size } = await stat(path)
  expect(made.index.sizeBytes).toBe(size)
  expect(made.averageBps).toBe(Math.round((8 * size) / 5.005))
  expect(made.peakBps).toBeGreaterThan(made.averageBps / 2)
})

test('tables and headers cost little', async () => {
  const rich = await picture(10, ...`${X264} -b:v 3M -minrate 3M -g 50`.split(' '))
  const { packaged: made } = await packaged({ videoPath: rich, audioPath: null })
  const samples = (await packets(rich, 'v')).reduce((sum, { size }) => sum + Number(size), 0)
  expect(made.index.sizeBytes / samples).toBeLessThan(1.02)
})

test('the grid of one film holds for its other sounds', async () => {
  const { packaged: made, audioPath } = await film('B-frames')
  const other = await packaged({ videoPath: null, audioPath }, { cuts: made.cuts })
  expect(made.cuts).toEqual([0, 2, 4])
  expect(other.packaged.cuts).toEqual(made.cuts)
  expect(other.packaged.index.audio?.durations).toHaveLength(3)
  expect(other.packaged.index.initBoth).toBeNull()
})

/** Eight seconds from `start` on, in time from 0. */
function chunk(start: number, end: number): Promise<string> {
  const args = `${X264} -bf 3 -g 50 -sc_threshold 0 -force_key_frames expr:gte(t,n_forced*2)`
  const stitchable = 'stitchable=1:b-pyramid=normal:b-adapt=0:threads=1'
  const trim = `trim=start=${start}:end=${end},setpts=PTS-STARTPTS`
  return picture(24, '-vf', trim, ...args.split(' '), '-x264-params', stitchable)
}

test('a film encoded in chunks has the pictures and times of one encoded at once', async () => {
  const whole = await packaged({ videoPath: await chunk(0, 24), audioPath: null })
  const video = await Promise.all(
    [0, 8, 16].map(async (start) => {
      return { path: await chunk(start, start + 8), startSeconds: start }
    }),
  )
  const joined = await packaged({ videoPath: null, audioPath: null }, { video })
  expect(joined.packaged.cuts).toEqual(whole.packaged.cuts)
  expect(joined.packaged.video).toEqual(whole.packaged.video)
  const times = (list: Packet[], key: 'pts' | 'dts'): string[] => list.map((one) => one[key]).sort()
  const expected = await packets(whole.path, 'v')
  for (const view of [joined.path, joined.views.fragments]) {
    const found = await packets(view, 'v')
    expect(found).toHaveLength(600)
    expect(times(found, 'pts')).toEqual(times(expected, 'pts'))
    expect(times(found, 'dts')).toEqual(times(expected, 'dts'))
  }
  const decoded = await frames(joined.path, 'v')
  expect(decoded).toHaveLength(600)
  expect(await frames(joined.views.fragments, 'v')).toEqual(decoded)
})

async function failureOf(input: Partial<PackageInput>): Promise<MediaFailure> {
  const outputPath = join(dir, 'never.mp4')
  const failure: unknown = await packageFile({
    ...{ video: [], audioPath: null, outputPath, signal, ...input },
  }).catch((error: unknown) => error)
  expect(existsSync(outputPath)).toBe(false)
  if (!(failure instanceof MediaFailure)) throw new Error(`not a MediaFailure: ${String(failure)}`)
  expect(failure.reason).toBe('verification_failed')
  return failure
}

function part(path: string, startSeconds = 0): PackageInput['video'][number] {
  return { path, startSeconds }
}

test('keyframes that are no IDR pictures are refused, and no copy', async () => {
  const params = 'open-gop=1:keyint=25:min-keyint=25:bframes=3:b-adapt=0:scenecut=0'
  const open = await picture(6, ...X264.split(' '), '-x264-params', params)
  const { sentence } = await failureOf({ video: [part(open)] })
  expect(sentence).toContain('one of its keyframes refers to pictures before it')
  const copied = await describeCopy(open, signal)
  expect(copied).toMatchObject({ isStitchable: false, frames: 150, syncTimes: [0] })
})

test('pictures that bring other parameters are refused, and no copy', async () => {
  const [plain, other] = [
    await picture(2, ...PLAIN.split(' ')),
    await picture(2, ...`${REORDERED} -profile:v main`.split(' ')),
  ]
  const list = join(dir, 'list.txt')
  await writeFile(list, `file '${plain}'\nfile '${other}'\n`)
  const concatenated = await ffmpeg('-f', 'concat', '-safe', '0', '-i', list, '-c', 'copy')
  const { sentence } = await failureOf({ video: [part(concatenated)] })
  expect(sentence).toContain('its pictures change their format')
  expect(await describeCopy(concatenated, signal)).toMatchObject({ isStitchable: false })
  const apart = await failureOf({ video: [part(plain), part(other, 2)] })
  expect(apart.sentence).toContain('its parts were encoded differently')
})

test('an ordinary film can be copied, and is told where', async () => {
  const { videoPath } = await film('B-frames')
  const copied = await describeCopy(videoPath ?? '', signal)
  expect(copied).toMatchObject({ isStitchable: true, durationSeconds: 6, frames: 150 })
  expect(copied.syncTimes).toEqual([0, 1, 2, 3, 4, 5])
  expect(copied.peakBps4s).toBeGreaterThanOrEqual(copied.averageBps)
  const repeated = await ffmpeg('-i', videoPath ?? '', '-c', 'copy', '-bsf:v', 'h264_mp4toannexb')
  expect(await describeCopy(repeated, signal)).toMatchObject({ isStitchable: true })
})

test('what is no MP4, or cut short, is no copy and no film', async () => {
  const { videoPath, audioPath } = await film('B-frames')
  const whole = await readFile(videoPath ?? '')
  const broken = join(dir, 'broken.mp4')
  for (const bytes of [Buffer.from('nothing'), Buffer.alloc(0), whole.subarray(0, -100)]) {
    await writeFile(broken, bytes)
    expect((await failureOf({ video: [part(broken)] })).permanent).toBe(true)
    expect(await describeCopy(broken, signal)).toMatchObject({ isStitchable: false, frames: 0 })
  }
  expect((await failureOf({ video: [part(audioPath ?? '')] })).sentence).toContain('no pictures')
  expect((await failureOf({ audioPath: videoPath })).sentence).toContain('no sound')
})

test('an aborted packaging rejects with the reason, and leaves nothing', async () => {
  const { videoPath, audioPath } = await film('B-frames')
  const outputPath = join(dir, 'aborted.mp4')
  const reason = new Error('enough')
  const controller = new AbortController()
  const video = [part(videoPath ?? '')]
  const packaging = packageFile({ video, audioPath, outputPath, signal: controller.signal })
  controller.abort(reason)
  await expect(packaging).rejects.toBe(reason)
  expect(existsSync(outputPath)).toBe(false)
})
