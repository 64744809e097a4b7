import type { SampleEntry } from './sample-entry.ts'
import { lastDuration, type SampleTable } from './sample-table.ts'

/**
 * One track, whatever it was read from. Sample `i` is shown at
 * `times[i] + compositionOffsets[i] - mediaTime + startTicks`.
 */
export interface Track {
  /** Ticks a second of everything here. */
  timescale: number
  /** Three letters of five bits (ISO/IEC 14496-12 §8.4.2). */
  language: number
  entry: SampleEntry
  samples: SampleTable
  /** Ticks of the media that come before what is shown: reorder delay, priming. */
  mediaTime: number
  /** Ticks of the film before the first of the track is shown: an empty edit. */
  startTicks: number
  /** The files that hold the samples, in order. */
  parts: { path: string; firstSample: number }[]
}

export function decodeTicks({ samples, mediaTime, startTicks }: Track, index: number): number {
  return (samples.times[index] ?? 0) - mediaTime + startTicks
}

export function presentationTicks(track: Track, index: number): number {
  return decodeTicks(track, index) + (track.samples.compositionOffsets[index] ?? 0)
}

/** Where the picture shown last, or the last sound, ends. */
export function endTicks(track: Track): number {
  let latest = 0
  for (let index = 0; index < track.samples.count; index += 1) {
    latest = Math.max(latest, presentationTicks(track, index))
  }
  return latest + lastDuration(track.samples)
}

export function partOf({ parts }: Track, sample: number): number {
  let low = 0
  let high = parts.length
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if ((parts[middle]?.firstSample ?? 0) <= sample) low = middle
    else high = middle
  }
  return low
}
