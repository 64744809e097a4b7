import { decodeTicks, endTicks, presentationTicks, type Track } from './track.ts'
import { unpackable } from './unpackable.ts'

/** What a segment is in each track. */
export interface Segments {
  /** Start times in seconds, ascending, the first 0. */
  cuts: number[]
  /** The first sample of each, and one past the last; null without such a track. */
  video: number[] | null
  audio: number[] | null
}

/** How to cut: no segment but the last shorter than this, or exactly here. */
export type Grid = { minSegmentSeconds: number } | { cuts: number[] }

/** Rounding of times in clocks of milliseconds moves a cut by so much. */
const TOLERANCE_S = 0.002

/** Of two seconds, 55 hours. Keeps a lie about time from becoming millions of segments of nothing. */
const MOST_SEGMENTS = 100_000

/**
 * Cuts before keyframes. Sound is cut where the keyframe is *decoded*, so that a player that seeks to
 * there finds it inside the segment; the packet that spans the instant belongs to the new one.
 * Sound that goes on after the last picture for less than a segment stays in the last.
 */
export function planSegments(video: Track | null, audio: Track | null, grid: Grid): Segments {
  const starts = video === null ? [] : videoStarts(video, grid)
  const videoCuts = starts.map((sample) => secondsOf(video, sample))
  const cuts = [...videoCuts, ...laterCuts(videoCuts, video, audio, grid)]
  const instants = cuts.map((seconds, index) => decodeSeconds(video, starts[index]) ?? seconds)
  return {
    cuts: [0, ...cuts.slice(1)],
    video: video === null ? null : boundaries(starts, cuts.length, video.samples.count),
    audio: audio === null ? null : audioBoundaries(audio, instants),
  }
}

function secondsOf(video: Track | null, sample: number): number {
  return video === null ? 0 : presentationTicks(video, sample) / video.timescale
}

function decodeSeconds(video: Track | null, sample: number | undefined): number | undefined {
  if (video === null || sample === undefined) return undefined
  return decodeTicks(video, sample) / video.timescale
}

/** The first sample, and sync samples. */
function videoStarts(video: Track, grid: Grid): number[] {
  if (video.samples.syncs[0] !== 1) throw unpackable('its first picture is no keyframe')
  return 'cuts' in grid ? startsAt(video, grid.cuts) : startsApart(video, grid.minSegmentSeconds)
}

function startsApart(video: Track, minSegmentSeconds: number): number[] {
  const { samples, timescale } = video
  const apart = (minSegmentSeconds - TOLERANCE_S) * timescale
  const starts = [0]
  let last = Math.max(0, presentationTicks(video, 0))
  for (let index = 1; index < samples.count; index += 1) {
    if (samples.syncs[index] !== 1) continue
    const shown = presentationTicks(video, index)
    if (shown - last < apart) continue
    starts.push(index)
    last = shown
  }
  return starts
}

/** A cut after the last picture is one of sound alone. */
function startsAt(video: Track, cuts: number[]): number[] {
  const end = endTicks(video) / video.timescale
  const wanted = cuts.slice(1).filter((cut) => cut < end - TOLERANCE_S)
  const starts = [0]
  for (let index = 1; index < video.samples.count; index += 1) {
    if (video.samples.syncs[index] !== 1) continue
    const missing = (wanted[starts.length - 1] ?? Infinity) - secondsOf(video, index)
    if (Math.abs(missing) <= TOLERANCE_S) starts.push(index)
  }
  if (starts.length <= wanted.length) {
    const detail = `none at ${wanted[starts.length - 1]} s`
    throw unpackable('its keyframes are not where those of its other qualities are', detail)
  }
  return starts
}

/** Where the sound that no picture accompanies is cut. */
function laterCuts(
  videoCuts: number[],
  video: Track | null,
  audio: Track | null,
  grid: Grid,
): number[] {
  if ('cuts' in grid) return grid.cuts.slice(videoCuts.length)
  const { minSegmentSeconds } = grid
  const pictureEnd = video === null ? 0 : endTicks(video) / video.timescale
  const soundEnd = audio === null ? 0 : endTicks(audio) / audio.timescale
  const count = Math.floor((soundEnd - pictureEnd) / minSegmentSeconds)
  if (count > MOST_SEGMENTS) throw unpackable('its sound goes on for days without pictures')
  const needed = videoCuts.length === 0 ? Math.max(1, count) : Math.max(0, count)
  return Array.from({ length: needed }, (_, index) => pictureEnd + index * minSegmentSeconds)
}

/** Segments after the last of these have nothing. */
function boundaries(starts: number[], segments: number, samples: number): number[] {
  return Array.from({ length: segments + 1 }, (_, index) => starts[index] ?? samples)
}

function audioBoundaries(audio: Track, instants: number[]): number[] {
  const later = instants.slice(1).map((seconds) => sampleAt(audio, seconds * audio.timescale))
  return [0, ...later, audio.samples.count]
}

/** The first sample that ends after this tick, or the number of samples. */
function sampleAt(audio: Track, ticks: number): number {
  let low = 0
  let high = audio.samples.count
  while (low < high) {
    const middle = (low + high) >> 1
    // Half a tick: instants in seconds are not exact.
    if (decodeTicks(audio, middle + 1) > ticks + 0.5) high = middle
    else low = middle + 1
  }
  return low
}
