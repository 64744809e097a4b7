import { endTicks, type Track } from '../track.ts'
import { box, fullBox, sized, u16, u32, versionFor } from './boxes.ts'
import { emptySampleTable } from './sample-boxes.ts'

/** A `moov`'s own clock, and the tracks in it. Track 1 is video, track 2 audio, in every view. */
export interface Movie {
  /** Ticks a second of the durations of movie, tracks and edits. */
  timescale: number
  tracks: Track[]
}

export function trackId({ entry }: Track): number {
  return entry.kind === 'video' ? 1 : 2
}

/**
 * The least common multiple of the tracks' clocks, in which every start and end is exact; that of the
 * first track where it would not fit into 31 bits, as Apple's players count.
 */
export function movieTimescale(tracks: Track[]): number {
  const scales = tracks.map(({ timescale }) => timescale)
  const exact = scales.reduce((a, b) => (a / greatestCommonDivisor(a, b)) * b, 1)
  return exact < 2 ** 31 ? exact : (scales[0] ?? 1)
}

export function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}

/** A `moov` with everything in it: `stbls` are the sample tables of its tracks. */
export function progressiveMovie(movie: Movie, stbls: Buffer[]): Buffer {
  const traks = movie.tracks.map((track, index) => {
    const duration = inMovie(movie, track, endTicks(track))
    const { samples, timescale } = track
    const media = { duration: samples.times[samples.count] ?? 0, timescale }
    return trak(track, duration, media, edits(movie, track), stbls[index] ?? Buffer.alloc(0))
  })
  return box('moov', movieHeader(movie, longest(movie)), ...traks)
}

/** A `moov` for fragments: no durations but in `mehd` (ISO/IEC 14496-12 §8.8.2), no samples. */
export function fragmentedMovie(movie: Movie): Buffer {
  const traks = movie.tracks.map((track) => {
    const media = { duration: 0, timescale: track.timescale }
    return trak(track, 0, media, fragmentEdits(track), emptySampleTable(track))
  })
  const duration = longest(movie)
  const version = versionFor(duration)
  const mehd = fullBox('mehd', { version }, sized(version, duration))
  const trexs = movie.tracks.map((track) => fullBox('trex', {}, u32(trackId(track), 1, 0, 0, 0)))
  return box('moov', movieHeader(movie, 0), ...traks, box('mvex', mehd, ...trexs))
}

/** Never less than it is: an edit that ends early hides the last picture. */
function inMovie({ timescale }: Movie, track: Track, ticks: number): number {
  return Math.ceil((ticks * timescale) / track.timescale)
}

function longest(movie: Movie): number {
  return Math.max(...movie.tracks.map((track) => inMovie(movie, track, endTicks(track))))
}

/** ISO/IEC 14496-12 §8.6.6: an empty edit up to the start, then the media behind what is hidden. */
function edits(movie: Movie, track: Track): Buffer[] {
  const { startTicks, mediaTime } = track
  if (startTicks === 0 && mediaTime === 0) return []
  const start = Math.round((startTicks * movie.timescale) / track.timescale)
  const shown = inMovie(movie, track, Math.max(0, endTicks(track) - startTicks))
  const empty: Edit[] = start === 0 ? [] : [{ duration: start, mediaTime: -1 }]
  return [editList([...empty, { duration: shown, mediaTime }])]
}

/**
 * In fragments a late start is in `tfdt`, not in an empty edit: browsers leave a list unread that
 * begins with one, and would show everything by the reorder delay late. A duration of 0 reaches to
 * the end of the last fragment.
 */
function fragmentEdits({ mediaTime }: Track): Buffer[] {
  return mediaTime === 0 ? [] : [editList([{ duration: 0, mediaTime }])]
}

interface Edit {
  duration: number
  /** -1 is nothing. */
  mediaTime: number
}

function editList(list: Edit[]): Buffer {
  const version = versionFor(...list.flatMap(({ duration, mediaTime }) => [duration, mediaTime]))
  const entries = list.map(({ duration, mediaTime }) => {
    const none = version === 1 ? u32(-1, -1) : u32(-1)
    const time = mediaTime === -1 ? none : sized(version, mediaTime)
    return Buffer.concat([sized(version, duration), time, u16(1, 0)])
  })
  return box('edts', fullBox('elst', { version }, u32(list.length), ...entries))
}

/** §8.2.2.2: no rotation, no scaling. */
const IDENTITY = u32(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)

/** §8.2.2. The times of making are 0: equal films become equal files. */
function movieHeader({ timescale }: Movie, duration: number): Buffer {
  const version = versionFor(duration)
  const made = Buffer.alloc(version === 1 ? 16 : 8)
  const rateAndVolume = u32(0x10000, 0x1000000, 0, 0)
  const nextTrackId = u32(0, 0, 0, 0, 0, 0, 3)
  const times = [made, u32(timescale), sized(version, duration)]
  return fullBox('mvhd', { version }, ...times, rateAndVolume, IDENTITY, nextTrackId)
}

function trak(
  track: Track,
  duration: number,
  media: { duration: number; timescale: number },
  edts: Buffer[],
  stbl: Buffer,
): Buffer {
  const { kind } = track.entry
  const handler = fullBox('hdlr', {}, u32(0), HANDLER[kind], u32(0, 0, 0), Buffer.alloc(1))
  const minf = box('minf', MEDIA_HEADER[kind], DATA_HERE, stbl)
  const mdia = box('mdia', mediaHeader(track, media), handler, minf)
  return box('trak', trackHeader(track, duration), ...edts, mdia)
}

const HANDLER = { video: Buffer.from('vide'), audio: Buffer.from('soun') }

/** §12.1.2, §12.2.2 */
const MEDIA_HEADER = {
  video: fullBox('vmhd', { flags: 1 }, u32(0, 0)),
  audio: fullBox('smhd', {}, u32(0)),
}

/** §8.7.2: the samples are in this file. */
const DATA_HERE = box('dinf', fullBox('dref', {}, u32(1), fullBox('url ', { flags: 1 })))

/** §8.3.2: enabled, and part of what is shown. */
function trackHeader(track: Track, duration: number): Buffer {
  const version = versionFor(duration)
  const made = Buffer.alloc(version === 1 ? 16 : 8)
  const { entry } = track
  const [width, height] = entry.kind === 'video' ? [entry.width, entry.height] : [0, 0]
  const volume = entry.kind === 'audio' ? 0x1000000 : 0
  const times = [made, u32(trackId(track), 0), sized(version, duration)]
  const size = u32(width * 0x10000, height * 0x10000)
  return fullBox('tkhd', { version, flags: 3 }, ...times, u32(0, 0, 0, volume), IDENTITY, size)
}

/** §8.4.2 */
function mediaHeader(
  { language }: Track,
  { duration, timescale }: { duration: number; timescale: number },
): Buffer {
  const version = versionFor(duration)
  const made = Buffer.alloc(version === 1 ? 16 : 8)
  const times = [made, u32(timescale), sized(version, duration)]
  return fullBox('mdhd', { version }, ...times, u16(language, 0))
}
