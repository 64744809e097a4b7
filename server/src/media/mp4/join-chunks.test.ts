import { expect, test } from 'vitest'
import { joinChunks } from './join-chunks.ts'
import { durationOf } from './sample-table.ts'
import { decodeTicks, presentationTicks, type Track } from './track.ts'
import { aTrack, AVCC, aVideo, videoEntry } from './tracks.fixture.ts'

/** Presentation times in ticks, in decode order; the last lasts 40. */
function shownAt(times: number[], fields: Partial<Track> = {}): Track {
  const samples = times.map((time, index) => {
    const compositionOffset = time - 40 * index
    return { size: 1, duration: 40, compositionOffset, isSync: index === 0 }
  })
  return aTrack(samples, fields)
}

function shown(track: Track): number[] {
  return Array.from({ length: track.samples.count }, (_, at) => presentationTicks(track, at))
}

function decoded(track: Track): number[] {
  return Array.from({ length: track.samples.count }, (_, at) => decodeTicks(track, at))
}

test('one chunk alone keeps its times, and begins where it is placed', () => {
  const track = shownAt([0, 80, 40], { mediaTime: 0 })
  const moved = joinChunks([{ track, startSeconds: 2 }])
  expect(moved.samples).toBe(track.samples)
  expect(shown(moved)).toEqual([2000, 2080, 2040])
})

test('pictures are decoded as many places earlier as the chunk with most reordering needs', () => {
  const plain = shownAt([0, 40, 80, 120])
  const reordered = shownAt([0, 120, 40, 80])
  const track = joinChunks([
    { track: plain, startSeconds: 0 },
    { track: reordered, startSeconds: 0.16 },
  ])
  expect(shown(track)).toEqual([0, 40, 80, 120, 160, 280, 200, 240])
  expect(decoded(track)).toEqual([-40, 0, 40, 80, 120, 160, 200, 240])
  expect(track).toMatchObject({ mediaTime: 40, startTicks: 0 })
  expect(Math.min(...track.samples.compositionOffsets)).toBe(0)
})

test('the last picture of a chunk lasts until the next chunk', () => {
  const track = joinChunks([
    { track: shownAt([0, 40]), startSeconds: 0 },
    { track: shownAt([0, 40]), startSeconds: 0.5 },
  ])
  expect([0, 1, 2, 3].map((at) => durationOf(track.samples, at))).toEqual([40, 460, 40, 40])
})

test('a chunk is placed by its own presentation times, its edit list honoured', () => {
  const late = shownAt([80, 160, 120], { mediaTime: 80, startTicks: 40 })
  const track = joinChunks([
    { track: late, startSeconds: 0 },
    { track: late, startSeconds: 1 },
  ])
  expect(shown(track)).toEqual([40, 120, 80, 1040, 1120, 1080])
  expect(track.startTicks).toBe(40)
})

test('samples stay in their files', () => {
  const parts = (path: string): Partial<Track> => ({ parts: [{ path, firstSample: 0 }] })
  const track = joinChunks([
    { track: aVideo(10, parts('/a')), startSeconds: 0 },
    { track: aVideo(10, parts('/b')), startSeconds: 0.4 },
  ])
  expect(track.parts).toEqual([
    { path: '/a', firstSample: 0 },
    { path: '/b', firstSample: 10 },
  ])
  expect(track.samples.offsets[10]).toBe(0)
})

test('chunks that overlap, repeat a time or differ are refused', () => {
  const at = (startSeconds: number, track = aVideo(10)): Parameters<typeof joinChunks>[0][0] => {
    return { track, startSeconds }
  }
  expect(joinChunks([at(0), at(0.4)]).samples.count).toBe(20)
  expect(() => joinChunks([at(0), at(0.2)])).toThrow('its parts overlap')
  expect(() => joinChunks([at(0), at(0.36)])).toThrow('its parts overlap')
  expect(() => joinChunks([at(1), at(0)])).toThrow('its parts overlap')
  expect(() => joinChunks([at(0), at(0.4, shownAt([0, 0]))])).toThrow('its parts overlap')
  const foreign = aVideo(10, { entry: videoEntry(Buffer.from(AVCC).fill(0x4d, 1, 2)) })
  expect(() => joinChunks([at(0), at(0.4, foreign)])).toThrow('encoded differently')
  const faster = aVideo(10, { timescale: 500 })
  expect(() => joinChunks([at(0), at(0.4, faster)])).toThrow('encoded differently')
  expect(() => joinChunks([at(0), at(3e6)])).not.toThrow()
  expect(() => joinChunks([at(0, shownAt([0, 80, 40])), at(3e6, shownAt([0, 80, 40]))])).toThrow(
    'days apart',
  )
})
