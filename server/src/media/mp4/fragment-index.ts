/** Offset from the start of the file and length, in bytes. */
export type ByteSpan = [offset: number, length: number]

/**
 * Where the fragments of a packaged file are: all that playlists need. Stored as JSON with the rendition, so it is kept
 * short: parallel lists, one entry a segment.
 */
export interface FragmentIndex {
  sizeBytes: number
  /** Null where the file has no such track; never both. */
  video: TrackFragments | null
  audio: TrackFragments | null
  /** `ftyp` and `moov` for both tracks in one; null unless there are both. */
  initBoth: ByteSpan | null
}

/**
 * One track in segments. Both tracks of a file have the same number of segments, and segment `i` of both covers the
 * same time; a track that has nothing in it there has length and duration 0.
 */
export interface TrackFragments {
  /** RFC 6381: `avc1.640028`, `mp4a.40.2`. */
  codec: string
  /** Ticks a second of `durations`. */
  timescale: number
  /** `ftyp` and `moov` for this track alone: what EXT-X-MAP and Initialization point to. */
  init: ByteSpan
  /** Presentation time covered, in ticks. */
  durations: number[]
  /** Where each `moof` begins, and how long it is with its `mdat`. In a segment with both, audio follows video at once. */
  offsets: number[]
  lengths: number[]
  /** Video only: `moof`, the header of `mdat` and the first sample, which is a keyframe. For I-frame playlists. */
  keyframeLengths?: number[]
}
