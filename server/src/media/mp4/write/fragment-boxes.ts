import { durationOf, type SampleTable } from '../sample-table.ts'
import type { Track } from '../track.ts'
import { box, fullBox, u32, u32List, u64 } from './boxes.ts'
import { trackId } from './movie-boxes.ts'

/** Samples `from` up to, not including, `to`. */
export interface SampleRange {
  from: number
  to: number
}

/** ISO/IEC 14496-12 §8.8.3.1: depends on no other; depends on others, and is no sync sample. */
const SYNC_FLAGS = 0x2000000
const OTHER_FLAGS = 0x1010000

/** Which columns a `trun` needs, and what its `tfhd` says for all: what is shared costs nothing a sample. */
interface Shape {
  duration: number | null
  /** Of all samples but the first, and of the first where it differs. Null where they vary. */
  flags: { others: number; first: number | null } | null
  compositionVersion: 0 | 1 | null
}

function shapeOf(samples: SampleTable, { from, to }: SampleRange): Shape {
  const duration = durationOf(samples, from)
  const lastSync = samples.syncs[to - 1]
  let hasOneDuration = true
  let hasOneKind = true
  let isMoved = false
  let isEarlier = false
  for (let index = from; index < to; index += 1) {
    hasOneDuration &&= durationOf(samples, index) === duration
    hasOneKind &&= index === from || samples.syncs[index] === lastSync
    isMoved ||= samples.compositionOffsets[index] !== 0
    isEarlier ||= (samples.compositionOffsets[index] ?? 0) < 0
  }
  const [first, others] = [flagsOf(samples, from), flagsOf(samples, to - 1)]
  return {
    duration: hasOneDuration ? duration : null,
    flags: hasOneKind ? { others, first: first === others ? null : first } : null,
    compositionVersion: isMoved ? (isEarlier ? 1 : 0) : null,
  }
}

function flagsOf({ syncs }: SampleTable, index: number): number {
  return syncs[index] === 1 ? SYNC_FLAGS : OTHER_FLAGS
}

/** Length of what `fragmentHeader` makes. */
export function fragmentHeaderLength({ samples }: Track, range: SampleRange): number {
  const { duration, flags, compositionVersion } = shapeOf(samples, range)
  const tfhd = 16 + (duration === null ? 0 : 4) + (flags === null ? 0 : 4)
  const columns = [true, duration === null, flags === null, compositionVersion !== null]
  const perSample = 4 * columns.filter(Boolean).length
  const hasFirst = flags !== null && flags.first !== null
  const trun = 20 + (hasFirst ? 4 : 0) + perSample * (range.to - range.from)
  return 8 + 16 + 8 + tfhd + 20 + trun
}

/** A `moof` (§8.8.4) whose samples follow it at once in an `mdat` with a short header. */
export function fragmentHeader(track: Track, range: SampleRange, sequence: number): Buffer {
  const { samples, startTicks } = track
  const shape = shapeOf(samples, range)
  const time = (samples.times[range.from] ?? 0) + startTicks
  return box(
    'moof',
    fullBox('mfhd', {}, u32(sequence)),
    box(
      'traf',
      tfhd(track, shape),
      fullBox('tfdt', { version: 1 }, u64(time)),
      trun(samples, range, shape, fragmentHeaderLength(track, range) + 8),
    ),
  )
}

/** §8.8.7: offsets are from the start of this `moof`, wherever its bytes come from. */
function tfhd(track: Track, { duration, flags }: Shape): Buffer {
  const present = 0x20000 + (duration === null ? 0 : 0x8) + (flags === null ? 0 : 0x20)
  const shared = [
    ...(duration === null ? [] : [duration]),
    ...(flags === null ? [] : [flags.others]),
  ]
  return fullBox('tfhd', { flags: present }, u32(trackId(track), ...shared))
}

/** §8.8.8 */
function trun(
  samples: SampleTable,
  { from, to }: SampleRange,
  shape: Shape,
  dataOffset: number,
): Buffer {
  const { duration, flags, compositionVersion } = shape
  const first = flags?.first ?? null
  const present =
    0x201 +
    (first === null ? 0 : 0x4) +
    (duration === null ? 0x100 : 0) +
    (flags === null ? 0x400 : 0) +
    (compositionVersion === null ? 0 : 0x800)
  const rows: number[] = []
  for (let index = from; index < to; index += 1) {
    if (duration === null) rows.push(durationOf(samples, index))
    rows.push(samples.sizes[index] ?? 0)
    if (flags === null) rows.push(flagsOf(samples, index))
    if (compositionVersion !== null) rows.push(samples.compositionOffsets[index] ?? 0)
  }
  const version = compositionVersion ?? 0
  const head = u32(to - from, dataOffset, ...(first === null ? [] : [first]))
  return fullBox('trun', { version, flags: present }, head, u32List(rows))
}
