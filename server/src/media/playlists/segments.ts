import type { TrackFragments } from '../mp4/fragment-index.ts'

/** One media segment as a playlist lists it: a range of a file, and how long it plays. */
export interface Segment {
  /** Whole microseconds. */
  seconds: number
  offset: number
  length: number
}

/** Those in which the track has something. */
export function segmentsOf(track: TrackFragments): Segment[] {
  return present(track.durations.map((_, index) => at(track, index)))
}

/** The keyframes alone, each as long as until the next: the I-frame segments of RFC 8216 §4.3.3.6. */
export function keyframesOf(video: TrackFragments): Segment[] {
  const lengths = video.keyframeLengths ?? []
  return present(
    video.durations.map((_, index) => ({ ...at(video, index), length: lengths[index] ?? 0 })),
  )
}

/**
 * Picture and sound in one range. What sounds after the last picture is left out: hls.js stalls at segments without the
 * one and Shaka Player at the discontinuity that would announce them, while apart both tracks play to their ends.
 */
export function muxedSegmentsOf(video: TrackFragments, audio: TrackFragments): Segment[] {
  return present(
    video.durations.map((_, index) => {
      const picture = at(video, index)
      if (picture.length === 0) return picture
      return { ...picture, length: picture.length + at(audio, index).length }
    }),
  )
}

function at({ durations, timescale, offsets, lengths }: TrackFragments, index: number): Segment {
  return {
    seconds: (durations[index] ?? 0) / timescale,
    offset: offsets[index] ?? 0,
    length: lengths[index] ?? 0,
  }
}

/** Each duration is the difference of two rounded instants, so that the sum drifts nowhere. */
function present(segments: Segment[]): Segment[] {
  let seconds = 0
  return segments
    .filter((segment) => segment.length > 0)
    .map((segment) => {
      const start = Math.round(seconds * 1e6)
      seconds += segment.seconds
      return { ...segment, seconds: (Math.round(seconds * 1e6) - start) / 1e6 }
    })
}

export function totalSeconds(segments: Segment[]): number {
  return segments.reduce((sum, { seconds }) => sum + seconds, 0)
}

export function longestSeconds(segments: Segment[]): number {
  return segments.reduce((longest, { seconds }) => Math.max(longest, seconds), 0)
}

/** RFC 8216 §4.3.3.1: no segment, rounded to the nearest second, is longer. */
export function targetSeconds(segments: Segment[]): number {
  return Math.max(1, Math.round(longestSeconds(segments)))
}

/** RFC 8216 §4.1: of all segments together; 0 where there are none. */
export function averageBps(segments: Segment[]): number {
  const seconds = totalSeconds(segments)
  const bytes = segments.reduce((sum, { length }) => sum + length, 0)
  return seconds > 0 ? Math.ceil((bytes * 8) / seconds) : 0
}

/**
 * RFC 8216 §4.1: the richest run of segments that plays between 0.5 and 1.5 target durations. A short segment at the end,
 * mostly header, is thus no peak by itself.
 */
export function peakBps(segments: Segment[]): number {
  const target = targetSeconds(segments)
  let peak = averageBps(segments)
  for (let first = 0; first < segments.length; first += 1) {
    let [seconds, bytes] = [0, 0]
    for (let last = first; last < segments.length; last += 1) {
      seconds += segments[last]?.seconds ?? 0
      bytes += segments[last]?.length ?? 0
      if (seconds > 1.5 * target) break
      if (seconds >= 0.5 * target) peak = Math.max(peak, Math.ceil((bytes * 8) / seconds))
    }
  }
  return peak
}
