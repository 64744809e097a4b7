import type { FragmentIndex, TrackFragments } from './fragment-index.ts'
import { endTicks, presentationTicks, type Track } from './track.ts'
import { greatestCommonDivisor } from './write/movie-boxes.ts'

export interface Rates {
  /** Bits a second. */
  averageBps: number
  /** Of the richest segment. */
  peakBps: number
}

/** Of the whole file with all its tracks, which lasts `seconds`. */
export function fileRates(index: FragmentIndex, cuts: number[], seconds: number): Rates {
  const segments = cuts.map((cut, at) => ({
    bytes: (index.video?.lengths[at] ?? 0) + (index.audio?.lengths[at] ?? 0),
    seconds: (cuts[at + 1] ?? Math.max(cut, seconds)) - cut,
  }))
  return { averageBps: bitsPerSecond(index.sizeBytes, seconds), peakBps: peakOf(segments) }
}

export function audioRates({ lengths, durations, timescale }: TrackFragments): Rates {
  const segments = lengths.map((bytes, at) => {
    return { bytes, seconds: (durations[at] ?? 0) / timescale }
  })
  const bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0)
  const seconds = segments.reduce((sum, segment) => sum + segment.seconds, 0)
  return { averageBps: bitsPerSecond(bytes, seconds), peakBps: peakOf(segments) }
}

/**
 * Segments shorter than half of the longest do not count, as in RFC 8216 §4.3.4.2: a last one of a
 * single keyframe would look like a film of them.
 */
function peakOf(segments: { bytes: number; seconds: number }[]): number {
  const longest = segments.reduce((most, { seconds }) => Math.max(most, seconds), 0)
  return segments
    .filter(({ seconds }) => seconds >= longest / 2)
    .reduce((most, { bytes, seconds }) => Math.max(most, bitsPerSecond(bytes, seconds)), 0)
}

export function bitsPerSecond(bytes: number, seconds: number): number {
  return Math.round((8 * bytes) / Math.max(seconds, 0.001))
}

/** Pictures over the time that they are shown, reduced. */
export function frameRate(video: Track): string {
  const ticks = Math.max(1, endTicks(video) - firstShown(video))
  const pictures = video.samples.count * video.timescale
  const divisor = greatestCommonDivisor(pictures, ticks)
  return `${pictures / divisor}/${ticks / divisor}`
}

function firstShown(video: Track): number {
  let first = Infinity
  for (let index = 0; index < video.samples.count; index += 1) {
    first = Math.min(first, presentationTicks(video, index))
  }
  return first
}
