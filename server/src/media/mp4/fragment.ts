import type { Track } from './track.ts'
import type { SampleRange } from './write/fragment-boxes.ts'

export interface PlannedTrack {
  track: Track
  /** One a segment. */
  fragments: Fragment[]
}

/** The samples of one track in one segment, as `moof` and `mdat`; without samples, nothing at all. */
export interface Fragment extends SampleRange {
  /** From the start of the file to the `moof`. */
  offset: number
  /** Of the `moof`. */
  headerLength: number
  /** Of the samples. */
  dataLength: number
}

/** Of an `mdat` inside the one of the file. */
export const MDAT_HEADER = 8

export function lengthOf({ from, to, headerLength, dataLength }: Fragment): number {
  return from === to ? 0 : headerLength + MDAT_HEADER + dataLength
}
