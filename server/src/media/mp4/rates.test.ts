import { expect, test } from 'vitest'
import type { FragmentIndex, TrackFragments } from './fragment-index.ts'
import { audioRates, fileRates, frameRate } from './rates.ts'
import { aTrack, aVideo } from './tracks.fixture.ts'

function fragments(lengths: number[], durations: number[]): TrackFragments {
  const offsets = lengths.map(() => 0)
  return { codec: 'any', timescale: 1000, init: [0, 0], durations, offsets, lengths }
}

test('a film is as rich as its richest segment, picture and sound together', () => {
  const index: FragmentIndex = {
    sizeBytes: 5000,
    video: fragments([1000, 2000, 500], [2000, 2000, 1000]),
    audio: fragments([500, 500, 0], [2000, 2000, 0]),
    initBoth: [0, 0],
  }
  expect(fileRates(index, [0, 2, 4], 5)).toEqual({ averageBps: 8000, peakBps: 10_000 })
})

test('a last segment of one keyframe is no peak, unless it is all there is', () => {
  const video = fragments([1000, 1000], [4000, 40])
  const index: FragmentIndex = { sizeBytes: 2000, video, audio: null, initBoth: null }
  expect(fileRates(index, [0, 4], 4.04).peakBps).toBe(2000)
  expect(fileRates({ ...index, video: fragments([1000], [40]) }, [0], 0.04).peakBps).toBe(200_000)
})

test('sound is measured where it is', () => {
  const sound = fragments([1000, 2000, 0], [2000, 2000, 0])
  expect(audioRates(sound)).toEqual({ averageBps: 6000, peakBps: 8000 })
})

test('pictures a second are a reduced fraction of what is shown', () => {
  expect(frameRate(aVideo(100))).toBe('25/1')
  expect(frameRate(aVideo(100, { startTicks: 777, mediaTime: 3 }))).toBe('25/1')
  const sample = { size: 1, duration: 1001, compositionOffset: 0, isSync: true }
  expect(frameRate(aTrack([sample, sample], { timescale: 24_000 }))).toBe('24000/1001')
  expect(frameRate(aTrack([{ ...sample, duration: 0 }]))).toBe('1000/1')
})
