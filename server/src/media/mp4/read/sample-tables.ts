import { emptyTable, type SampleTable } from '../sample-table.ts'
import { damaged } from '../unpackable.ts'
import { findBox, getBox } from './box-reader.ts'
import { fullBox } from './fields.ts'

/**
 * The tables of a classic track (ISO/IEC 14496-12 §8.6, §8.7); empty in a fragmented file. More than
 * `most` samples are refused.
 */
export function readSampleTables(stbl: Buffer, most: number): SampleTable {
  const samples = readSizes(getBox(stbl, 'stsz'), most)
  readTimes(getBox(stbl, 'stts'), samples)
  const ctts = findBox(stbl, 'ctts')
  if (ctts !== undefined) readCompositionOffsets(ctts, samples)
  const stss = findBox(stbl, 'stss')
  if (stss === undefined) samples.syncs.fill(1)
  else readSyncs(stss, samples)
  readOffsets(getBox(stbl, 'stsc'), readChunkOffsets(stbl), samples)
  return samples
}

/** §8.7.3 */
function readSizes(stsz: Buffer, most: number): SampleTable {
  const { fields } = fullBox(stsz)
  const sharedSize = fields.u32()
  const count = sharedSize === 0 ? fields.entries(4) : fields.u32()
  if (count > most) throw damaged(`stsz tells of ${count} samples`)
  const samples = emptyTable(count)
  for (let index = 0; index < samples.count; index += 1) {
    samples.sizes[index] = sharedSize === 0 ? fields.u32() : sharedSize
  }
  return samples
}

/** §8.6.1.2 */
function readTimes(stts: Buffer, { count, times }: SampleTable): void {
  const { fields } = fullBox(stts)
  let at = 0
  for (let left = fields.entries(8); left > 0; left -= 1) {
    const end = at + fields.u32()
    const duration = fields.u32()
    if (end > count) throw damaged('stts has more samples than stsz')
    for (; at < end; at += 1) times[at + 1] = (times[at] ?? 0) + duration
  }
  if (at !== count) throw damaged('stts has fewer samples than stsz')
}

/** §8.6.1.3. Signed in both versions: encoders write negative ones into version 0. */
function readCompositionOffsets(ctts: Buffer, samples: SampleTable): void {
  const { fields } = fullBox(ctts)
  let at = 0
  for (let left = fields.entries(8); left > 0; left -= 1) {
    const end = at + fields.u32()
    if (end > samples.count) throw damaged('ctts has more samples than stsz')
    samples.compositionOffsets.fill(fields.i32(), at, end)
    at = end
  }
  if (at !== samples.count) throw damaged('ctts has fewer samples than stsz')
}

/** §8.6.2: numbers from 1. */
function readSyncs(stss: Buffer, { count, syncs }: SampleTable): void {
  const { fields } = fullBox(stss)
  for (let left = fields.entries(4); left > 0; left -= 1) {
    const number = fields.u32()
    if (number === 0 || number > count) throw damaged(`stss names sample ${number} of ${count}`)
    syncs[number - 1] = 1
  }
}

/** §8.7.5 */
function readChunkOffsets(stbl: Buffer): Float64Array {
  const stco = findBox(stbl, 'stco')
  const { fields } = fullBox(stco ?? getBox(stbl, 'co64'))
  const isShort = stco !== undefined
  const offsets = new Float64Array(fields.entries(isShort ? 4 : 8))
  return offsets.map(() => (isShort ? fields.u32() : fields.u64()))
}

/** §8.7.4: runs of chunks with equally many samples, each run up to the first chunk of the next. */
function readOffsets(stsc: Buffer, chunks: Float64Array, samples: SampleTable): void {
  const { fields } = fullBox(stsc)
  const runs = Array.from({ length: fields.entries(12) }, () => {
    return { firstChunk: fields.u32() - 1, perChunk: fields.u32(), description: fields.u32() }
  })
  let at = 0
  for (const [index, { firstChunk, perChunk, description }] of runs.entries()) {
    const endChunk = runs[index + 1]?.firstChunk ?? chunks.length
    if (description !== 1) throw damaged(`stsc uses sample description ${description}`)
    if (firstChunk < 0 || endChunk > chunks.length) throw damaged('stsc names chunks that are not')
    if ((endChunk - firstChunk) * perChunk > samples.count - at) throw damaged('stsc is too long')
    for (let chunk = firstChunk; chunk < endChunk; chunk += 1) {
      at = placeChunk(samples, at, at + perChunk, chunks[chunk] ?? 0)
    }
  }
  if (at !== samples.count) throw damaged('stsc has fewer samples than stsz')
}

function placeChunk(
  { offsets, sizes }: SampleTable,
  from: number,
  to: number,
  start: number,
): number {
  let offset = start
  for (let index = from; index < to; index += 1) {
    offsets[index] = offset
    offset += sizes[index] ?? 0
  }
  return to
}
