import type { FragmentIndex } from './fragment-index.ts'
import { lengthOf, MDAT_HEADER, type Fragment, type PlannedTrack } from './fragment.ts'
import { fragmentIndex } from './index-of-layout.ts'
import { bytesOf } from './sample-table.ts'
import type { Segments } from './segments.ts'
import type { Track } from './track.ts'
import { unpackable } from './unpackable.ts'
import { box, U32_MAX, u32, u64 } from './write/boxes.ts'
import { fragmentHeaderLength } from './write/fragment-boxes.ts'
import { fragmentedMovie, movieTimescale, progressiveMovie } from './write/movie-boxes.ts'
import { chunkOffsets, sampleBoxes } from './write/sample-boxes.ts'

/** A file as data: what is in it, and where. */
export interface Layout {
  /** All before the first fragment. */
  head: Buffer
  tracks: PlannedTrack[]
  index: FragmentIndex
}

/**
 * Plans a file that is a progressive MP4 and, inside its one `mdat`, a fragmented one:
 *
 *     ftyp, moov with full tables
 *     mdat: init of video, of audio, of both; then of each segment
 *           moof and mdat of its video, moof and mdat of its audio
 *
 * The chunks of the full tables are the inner `mdat`s. Throws MediaFailure where a fragment would be
 * 4 GiB or more.
 */
export function planLayout(video: Track | null, audio: Track | null, segments: Segments): Layout {
  const inits = initSegments(video, audio)
  const initsLength = inits.reduce((sum, { length }) => sum + length, 0)
  const tracks = [
    ...(video === null ? [] : [{ track: video, fragments: measured(video, segments.video) }]),
    ...(audio === null ? [] : [{ track: audio, fragments: measured(audio, segments.audio) }]),
  ]
  const bodyLength = place(tracks, initsLength)
  const front = frontOf(tracks, bodyLength)
  const placed = tracks.map(({ track, fragments }) => {
    return { track, fragments: fragments.map((one) => moved(one, front.length)) }
  })
  return {
    head: Buffer.concat([front, ...inits]),
    tracks: placed,
    index: fragmentIndex(placed, {
      cuts: segments.cuts,
      initsOffset: front.length,
      initLengths: inits.map(({ length }) => length),
      sizeBytes: front.length + bodyLength,
    }),
  }
}

/** `iso6` is the first with `tfdt` and `default-base-is-moof`. */
const FRAGMENTED = box('ftyp', Buffer.from('iso6\0\0\0\0iso6mp41', 'latin1'))

/** Of each track, then of both where there are two. */
function initSegments(video: Track | null, audio: Track | null): Buffer[] {
  const all = [video, audio].filter((track) => track !== null)
  const views = all.length === 2 ? [...all.map((track) => [track]), all] : [all]
  const timescale = movieTimescale(all)
  return views.map((tracks) => Buffer.concat([FRAGMENTED, fragmentedMovie({ timescale, tracks })]))
}

/** Fragments that have no place yet. */
function measured(track: Track, starts: number[] | null): Fragment[] {
  return (starts ?? []).slice(0, -1).map((from, segment) => {
    const to = starts?.[segment + 1] ?? from
    const dataLength = bytesOf(track.samples, from, to)
    if (dataLength > U32_MAX - MDAT_HEADER) throw unpackable('one of its segments has 4 GiB')
    const headerLength = from === to ? 0 : fragmentHeaderLength(track, { from, to })
    return { from, to, offset: 0, headerLength, dataLength }
  })
}

/** Of each segment video, then audio: the other way round, Shaka Player fails. Returns the end. */
function place(tracks: PlannedTrack[], start: number): number {
  let end = start
  for (const segment of tracks[0]?.fragments.keys() ?? []) {
    for (const { fragments } of tracks) {
      const fragment = fragments[segment]
      if (fragment === undefined) continue
      fragment.offset = end
      end += lengthOf(fragment)
    }
  }
  return end
}

function moved(fragment: Fragment, by: number): Fragment {
  return { ...fragment, offset: fragment.offset + by }
}

/** ISO/IEC 14496-12 §4.3 */
const PROGRESSIVE = box('ftyp', Buffer.from('isom\0\0\x02\0isomiso2avc1mp41', 'latin1'))

/**
 * `ftyp`, `moov` and the header of the `mdat` that has the body. The length of `moov` depends on
 * whether offsets are long, and those on its length: it is made for short ones first.
 */
function frontOf(tracks: PlannedTrack[], bodyLength: number): Buffer {
  const tables = tracks.map(({ track, fragments }) => {
    return sampleBoxes(
      track,
      chunksOf(fragments).map(({ from, to }) => to - from),
    )
  })
  const mdat = bodyHeader(bodyLength)
  const movieWith = (bodyOffset: number): Buffer => {
    const stbls = tracks.map(({ fragments }, index) => {
      const offsets = chunksOf(fragments).map((one) => bodyOffset + sampleOffset(one))
      return box('stbl', ...(tables[index] ?? []), chunkOffsets(offsets))
    })
    const all = tracks.map(({ track }) => track)
    return progressiveMovie({ timescale: movieTimescale(all), tracks: all }, stbls)
  }
  let moov = movieWith(0)
  let bodyOffset = -1
  while (bodyOffset !== PROGRESSIVE.length + moov.length + mdat.length) {
    bodyOffset = PROGRESSIVE.length + moov.length + mdat.length
    moov = movieWith(bodyOffset)
  }
  return Buffer.concat([PROGRESSIVE, moov, mdat])
}

function chunksOf(fragments: Fragment[]): Fragment[] {
  return fragments.filter(({ from, to }) => to > from)
}

function sampleOffset({ offset, headerLength }: Fragment): number {
  return offset + headerLength + MDAT_HEADER
}

/** ISO/IEC 14496-12 §4.2 */
function bodyHeader(bodyLength: number): Buffer {
  const type = Buffer.from('mdat', 'latin1')
  const isShort = bodyLength + 8 <= U32_MAX
  return isShort
    ? Buffer.concat([u32(bodyLength + 8), type])
    : Buffer.concat([u32(1), type, u64(bodyLength + 16)])
}
