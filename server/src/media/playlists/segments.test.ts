import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { TrackFragments } from '../mp4/fragment-index.ts'
import { AUDIO, VIDEO } from './films.fixture.ts'
import {
  averageBps,
  keyframesOf,
  muxedSegmentsOf,
  peakBps,
  segmentsOf,
  targetSeconds,
  totalSeconds,
} from './segments.ts'

test('segments are where the index says, as long as it says', () => {
  expect(segmentsOf(VIDEO)).toEqual([
    { seconds: 2.002, offset: 5000, length: 250_000 },
    { seconds: 2.002, offset: 305_000, length: 260_000 },
    { seconds: 0.5005, offset: 605_000, length: 20_000 },
  ])
  expect(keyframesOf(VIDEO).map(({ length }) => length)).toEqual([40_000, 50_000, 10_000])
})

test('where a track has ended, it has no segment', () => {
  expect(segmentsOf(AUDIO)).toHaveLength(2)
})

test('picture and sound are one range, as long as there is a picture', () => {
  expect(muxedSegmentsOf(VIDEO, AUDIO)).toEqual([
    { seconds: 2.002, offset: 5000, length: 282_000 },
    { seconds: 2.002, offset: 305_000, length: 291_000 },
    { seconds: 0.5005, offset: 605_000, length: 20_000 },
  ])
  const short = { ...VIDEO, durations: [48_048, 0, 0], lengths: [250_000, 0, 0] }
  expect(muxedSegmentsOf(short, AUDIO)).toEqual([{ seconds: 2.002, offset: 5000, length: 282_000 }])
})

test('durations are whole microseconds, and their sum is off by no more than one', () => {
  const durations = fc.array(fc.integer({ min: 1, max: 400_000 }), { minLength: 1, maxLength: 300 })
  const timescale = fc.constantFrom(1, 24, 30_000, 44_100, 90_000, 10_000_000)
  fc.assert(
    fc.property(durations, timescale, (durations, timescale) => {
      const segments = segmentsOf(aTrack(durations, timescale))
      const ticks = durations.reduce((sum, each) => sum + each, 0)
      expect(Math.abs(totalSeconds(segments) - ticks / timescale)).toBeLessThan(1.1e-6)
      for (const { seconds } of segments) {
        expect(Number(seconds.toFixed(6))).toBe(seconds)
        expect(Math.round(seconds)).toBeLessThanOrEqual(targetSeconds(segments))
      }
    }),
  )
})

test('the peak is that of a run near the target duration, not of a scrap', () => {
  const rich = segmentsOf({ ...aTrack([10, 10, 1], 5), lengths: [100_000, 200_000, 90_000] })
  expect(targetSeconds(rich)).toBe(2)
  // The scrap of 0.2 s has 3.6 Mbit/s by itself; with its neighbour, 290 000 bytes in 2.2 s.
  expect(peakBps(rich)).toBe(Math.ceil((290_000 * 8) / 2.2))
  expect(averageBps(rich)).toBe(Math.ceil((390_000 * 8) / 4.2))
})

test('a film of half a second has a peak, and one without segments has none', () => {
  expect(peakBps(segmentsOf({ ...aTrack([1], 5), lengths: [1000] }))).toBe(40_000)
  expect(peakBps([])).toBe(0)
  expect(targetSeconds([])).toBe(1)
})

function aTrack(durations: number[], timescale: number): TrackFragments {
  return {
    ...VIDEO,
    timescale,
    durations,
    offsets: durations.map((_, index) => 1000 * index),
    lengths: durations.map(() => 1000),
  }
}
