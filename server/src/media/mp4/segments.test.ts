import { expect, test } from 'vitest'
import { planSegments } from './segments.ts'
import { anAudio, aTrack, aVideo } from './tracks.fixture.ts'

const apart = (minSegmentSeconds: number): { minSegmentSeconds: number } => ({ minSegmentSeconds })

test('segments begin at keyframes that are far enough apart; the last may be short', () => {
  const video = aVideo(130)
  expect(planSegments(video, null, apart(2))).toEqual({
    ...{ cuts: [0, 2, 4], video: [0, 50, 100, 130], audio: null },
  })
  expect(planSegments(video, null, apart(1.5)).cuts).toEqual([0, 2, 4])
  expect(planSegments(video, null, apart(0.5)).cuts).toEqual([0, 1, 2, 3, 4, 5])
  expect(planSegments(video, null, apart(60)).cuts).toEqual([0])
})

test('keyframes a millisecond early are far enough apart', () => {
  const samples = [1999, 1999, 1].map((duration) => {
    return { size: 1, duration, compositionOffset: 0, isSync: true }
  })
  expect(planSegments(aTrack(samples), null, apart(2)).cuts).toEqual([0, 1.999, 3.998])
})

test('sound is cut where the keyframe is decoded, and a packet that spans it begins the segment', () => {
  const video = aVideo(100, { mediaTime: 50, startTicks: 0 })
  for (let at = 0; at < 100; at += 1) video.samples.compositionOffsets[at] = 50
  // Shown at 2 s, decoded at 1.95 s: packet 97 lasts from 1.94 to 1.96 s.
  expect(planSegments(video, anAudio(200), apart(2))).toEqual({
    ...{ cuts: [0, 2], video: [0, 50, 100], audio: [0, 97, 200] },
  })
  // A packet that ends just there stays in the segment before.
  const plain = aVideo(100)
  expect(planSegments(plain, anAudio(200), apart(2)).audio).toEqual([0, 100, 200])
  const primed = anAudio(201, { mediaTime: 21 })
  expect(planSegments(plain, primed, apart(2)).audio).toEqual([0, 101, 201])
})

test('sound that outlasts the picture stays in its last segment, or gets its own', () => {
  const video = aVideo(75)
  expect(planSegments(video, anAudio(200), apart(2))).toMatchObject({ cuts: [0, 2] })
  expect(planSegments(video, anAudio(400), apart(2))).toEqual({
    cuts: [0, 2, 3, 5],
    video: [0, 50, 75, 75, 75],
    audio: [0, 100, 150, 250, 400],
  })
})

test('picture that outlasts the sound goes on without', () => {
  expect(planSegments(aVideo(150), anAudio(60), apart(2))).toEqual({
    cuts: [0, 2, 4],
    video: [0, 50, 100, 150],
    audio: [0, 60, 60, 60],
  })
})

test('sound alone is cut by time, or where it is told', () => {
  expect(planSegments(null, anAudio(250), apart(2))).toEqual({
    ...{ cuts: [0, 2], video: null, audio: [0, 100, 250] },
  })
  expect(planSegments(null, anAudio(10), apart(2)).cuts).toEqual([0])
  expect(planSegments(null, anAudio(250), { cuts: [0, 1.01, 7] })).toEqual({
    ...{ cuts: [0, 1.01, 7], video: null, audio: [0, 50, 250, 250] },
  })
})

test('picture is cut where it is told, if keyframes are there', () => {
  const video = aVideo(130)
  expect(planSegments(video, null, { cuts: [0, 3, 4.001] }).video).toEqual([0, 75, 100, 130])
  expect(planSegments(video, null, { cuts: [0.04, 3] }).cuts).toEqual([0, 3])
  expect(planSegments(video, anAudio(500), { cuts: [0, 3, 6, 8] })).toEqual({
    ...{ cuts: [0, 3, 6, 8], video: [0, 75, 130, 130, 130], audio: [0, 150, 300, 400, 500] },
  })
  expect(() => planSegments(video, null, { cuts: [0, 2.5] })).toThrow('keyframes are not where')
})

test('a film that begins without a keyframe is refused', () => {
  const video = aVideo(10)
  video.samples.syncs[0] = 0
  expect(() => planSegments(video, null, apart(2))).toThrow('first picture is no keyframe')
})

test('one picture is one segment', () => {
  expect(planSegments(aVideo(1), null, apart(2))).toMatchObject({ cuts: [0], video: [0, 1] })
})
