import type { ByteSpan, FragmentIndex, TrackFragments } from './fragment-index.ts'
import { lengthOf, MDAT_HEADER, type Fragment, type PlannedTrack } from './fragment.ts'
import { endTicks, presentationTicks, type Track } from './track.ts'

interface Places {
  /** Start times of the segments in seconds. */
  cuts: number[]
  initsOffset: number
  initLengths: number[]
  sizeBytes: number
}

/** What playlists need of a layout. */
export function fragmentIndex(tracks: PlannedTrack[], places: Places): FragmentIndex {
  const spans = consecutive(places.initsOffset, places.initLengths)
  const index: FragmentIndex = {
    sizeBytes: places.sizeBytes,
    video: null,
    audio: null,
    initBoth: spans[2] ?? null,
  }
  for (const [at, planned] of tracks.entries()) {
    const { kind } = planned.track.entry
    index[kind] = trackFragments(planned, places.cuts, spans[at] ?? [0, 0])
  }
  return index
}

function consecutive(start: number, lengths: number[]): ByteSpan[] {
  let end = start
  return lengths.map((length) => {
    end += length
    return [end - length, length]
  })
}

function trackFragments(
  { track, fragments }: PlannedTrack,
  cuts: number[],
  init: ByteSpan,
): TrackFragments {
  const { entry, timescale, samples } = track
  const keyframeLength = ({ from, to, headerLength }: Fragment): number => {
    return from === to ? 0 : headerLength + MDAT_HEADER + (samples.sizes[from] ?? 0)
  }
  return {
    codec: entry.codec,
    timescale,
    init,
    durations: durations(track, fragments, cuts),
    offsets: fragments.map(({ offset }) => offset),
    lengths: fragments.map(lengthOf),
    ...(entry.kind === 'video' ? { keyframeLengths: fragments.map(keyframeLength) } : {}),
  }
}

/** Each segment lasts until the next that has samples begins, and the last until the track ends. */
function durations(track: Track, fragments: Fragment[], cuts: number[]): number[] {
  let end = endTicks(track)
  const fromLast = fragments.toReversed().map((fragment, index) => {
    if (fragment.from === fragment.to) return 0
    const cut = cuts[fragments.length - 1 - index] ?? 0
    const start = startOf(track, fragment, Math.round(cut * track.timescale))
    const duration = Math.max(0, end - start)
    end = start
    return duration
  })
  return fromLast.toReversed()
}

/** The first covers its segment from its cut on, even if nothing is shown yet. */
function startOf(track: Track, { from }: Fragment, cutTicks: number): number {
  const shown = Math.max(0, presentationTicks(track, from))
  return from === 0 ? Math.min(shown, cutTicks) : shown
}
