import type { GrowingTable } from '../sample-table.ts'
import { damaged } from '../unpackable.ts'
import { childBoxes, findBox, getBox } from './box-reader.ts'
import { fullBox } from './fields.ts'

/** What holds for samples that say nothing themselves. */
export interface SampleDefaults {
  duration: number
  size: number
  flags: number
}

/** ISO/IEC 14496-12 §8.8.3.1: `sample_is_non_sync_sample`. */
const NON_SYNC = 0x10000

/** §8.8.3 */
export function trackDefaults(moov: Buffer, trackId: number): SampleDefaults {
  const mvex = findBox(moov, 'mvex') ?? Buffer.alloc(0)
  for (const { type, payload } of childBoxes(mvex)) {
    if (type !== 'trex') continue
    const { fields } = fullBox(payload)
    if (fields.u32() !== trackId) continue
    fields.skip(4)
    return { duration: fields.u32(), size: fields.u32(), flags: fields.u32() }
  }
  return { duration: 0, size: 0, flags: 0 }
}

/** Adds the samples of one `moof` (§8.8.4) that begins at `moofOffset` in its file. */
export function readFragment(
  moof: Buffer,
  moofOffset: number,
  track: { id: number; defaults: SampleDefaults },
  table: GrowingTable,
): void {
  const trafs = [...childBoxes(moof)].filter(({ type }) => type === 'traf')
  for (const [index, { payload }] of trafs.entries()) {
    const header = readHeader(getBox(payload, 'tfhd'), track.defaults)
    if (header.trackId !== track.id) continue
    // Else data follow those of the track before (§8.8.7), as nobody has written for long.
    const isBasedOnMoof = header.isBasedOnMoof || index === 0
    if (header.baseOffset === undefined && !isBasedOnMoof) throw damaged('a traf without a base')
    readTraf(payload, header.baseOffset ?? moofOffset, header, table)
  }
}

interface FragmentHeader extends SampleDefaults {
  trackId: number
  baseOffset: number | undefined
  isBasedOnMoof: boolean
}

/** §8.8.7 */
function readHeader(tfhd: Buffer, defaults: SampleDefaults): FragmentHeader {
  const { flags, fields } = fullBox(tfhd)
  const trackId = fields.u32()
  const baseOffset = flags & 0x1 ? fields.u64() : undefined
  if (flags & 0x2 && fields.u32() !== 1) throw damaged('tfhd uses another sample description')
  return {
    trackId,
    baseOffset,
    isBasedOnMoof: (flags & 0x20000) !== 0,
    duration: flags & 0x8 ? fields.u32() : defaults.duration,
    size: flags & 0x10 ? fields.u32() : defaults.size,
    flags: flags & 0x20 ? fields.u32() : defaults.flags,
  }
}

function readTraf(traf: Buffer, base: number, defaults: SampleDefaults, table: GrowingTable): void {
  const tfdt = findBox(traf, 'tfdt')
  if (tfdt !== undefined) {
    const { version, fields } = fullBox(tfdt)
    table.continueAt(version === 1 ? fields.u64() : fields.u32())
  }
  let end = base
  for (const { type, payload } of childBoxes(traf)) {
    if (type === 'trun') end = readRun(payload, { base, follows: end }, defaults, table)
  }
}

/** §8.8.8. Returns where its data end. */
function readRun(
  trun: Buffer,
  { base, follows }: { base: number; follows: number },
  defaults: SampleDefaults,
  table: GrowingTable,
): number {
  const { flags, fields } = fullBox(trun)
  const count = fields.u32()
  let offset = flags & 0x1 ? base + fields.i32() : follows
  const firstFlags = flags & 0x4 ? fields.u32() : undefined
  for (let index = 0; index < count; index += 1) {
    const duration = flags & 0x100 ? fields.u32() : defaults.duration
    const size = flags & 0x200 ? fields.u32() : defaults.size
    const own = flags & 0x400 ? fields.u32() : defaults.flags
    const sampleFlags = index === 0 ? (firstFlags ?? own) : own
    const compositionOffset = flags & 0x800 ? fields.i32() : 0
    table.push({
      offset,
      size,
      duration,
      compositionOffset,
      isSync: (sampleFlags & NON_SYNC) === 0,
    })
    offset += size
  }
  return offset
}
