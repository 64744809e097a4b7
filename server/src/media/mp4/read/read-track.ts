import { readSampleEntry } from '../sample-entry.ts'
import { GrowingTable, mostSamplesIn, type SampleTable } from '../sample-table.ts'
import type { Track } from '../track.ts'
import { damaged, unpackable } from '../unpackable.ts'
import { childBoxes, fileBoxes, getBox, type FileBox } from './box-reader.ts'
import { trackStart } from './edit-list.ts'
import { fullBox } from './fields.ts'
import { readFragment, trackDefaults } from './fragments.ts'
import { readSampleTables } from './sample-tables.ts'
import { openSource, readBytes, type SourceFile } from './source-file.ts'

/**
 * Reads the first track of a kind from an MP4, classic (`stbl`) or fragmented (`moof`): its tables,
 * not its samples. Throws MediaFailure `verification_failed` where there is none or it is damaged.
 */
export async function readTrack(
  path: string,
  kind: 'video' | 'audio',
  signal: AbortSignal,
): Promise<Track> {
  await using file = await openSource(path)
  const boxes: FileBox[] = []
  for await (const found of fileBoxes(file, signal)) {
    if (found.type === 'moov' || found.type === 'moof') boxes.push(found)
  }
  const movie = boxes.find(({ type }) => type === 'moov')
  if (movie === undefined) throw damaged('no moov')
  const moov = await payloadOf(file, movie)
  const trak = trakOf(moov, kind)
  const most = mostSamplesIn(file.sizeBytes)
  const stbl = getBox(trak, 'mdia', 'minf', 'stbl')
  const table = new GrowingTable(readSampleTables(stbl, most), most)
  const id = trackId(trak)
  const track = { id, defaults: trackDefaults(moov, id) }
  for (const fragment of boxes) {
    if (fragment.type !== 'moof') continue
    signal.throwIfAborted()
    readFragment(await payloadOf(file, fragment), fragment.offset, track, table)
  }
  return assembled(path, { moov, trak, table, fileBytes: file.sizeBytes })
}

/** More than the tables of the longest film, and less than would trouble a small machine. */
const LARGEST_INDEX = 512 * 1024 ** 2

async function payloadOf(
  file: SourceFile,
  { type, offset, headerLength, end }: FileBox,
): Promise<Buffer> {
  const length = end - offset - headerLength
  if (length > LARGEST_INDEX) throw damaged(`${type} of ${length} bytes`)
  return readBytes(file, offset + headerLength, length)
}

const HANDLERS = { video: 'vide', audio: 'soun' }

/** ISO/IEC 14496-12 §8.4.3 */
function trakOf(moov: Buffer, kind: 'video' | 'audio'): Buffer {
  for (const { type, payload } of childBoxes(moov)) {
    if (type !== 'trak') continue
    const handler = getBox(payload, 'mdia', 'hdlr').toString('latin1', 8, 12)
    if (handler === HANDLERS[kind]) return payload
  }
  throw unpackable(kind === 'video' ? 'it has no pictures' : 'it has no sound')
}

/** §8.3.2 */
function trackId(trak: Buffer): number {
  const { version, fields } = fullBox(getBox(trak, 'tkhd'))
  fields.skip(version === 1 ? 16 : 8)
  return fields.u32()
}

function assembled(
  path: string,
  read: { moov: Buffer; trak: Buffer; table: GrowingTable; fileBytes: number },
): Track {
  const { moov, trak } = read
  const { timescale, language } = mediaHeader(getBox(trak, 'mdia', 'mdhd'))
  const movieTimescale = mediaHeader(getBox(moov, 'mvhd')).timescale
  const start = trackStart(trak, movieTimescale, timescale)
  const { samples, firstTime } = read.table.finish()
  refuseOutside(samples, read.fileBytes)
  return {
    timescale,
    language,
    entry: readSampleEntry(getBox(trak, 'mdia', 'minf', 'stbl', 'stsd')),
    samples,
    mediaTime: start.mediaTime,
    startTicks: start.startTicks + firstTime,
    parts: [{ path, firstSample: 0 }],
  }
}

/** §8.4.2. `mvhd` begins alike (§8.2.2); it has no language. */
function mediaHeader(payload: Buffer): { timescale: number; language: number } {
  const { version, fields } = fullBox(payload)
  fields.skip(version === 1 ? 16 : 8)
  const timescale = fields.u32()
  if (timescale === 0) throw damaged('a time scale of 0')
  fields.skip(version === 1 ? 8 : 4)
  return { timescale, language: fields.u16() }
}

function refuseOutside({ count, offsets, sizes }: SampleTable, fileBytes: number): void {
  if (count === 0) throw unpackable('it has no pictures or no sound')
  for (let index = 0; index < count; index += 1) {
    const offset = offsets[index] ?? 0
    if (offset < 0 || offset + (sizes[index] ?? 0) > fileBytes) {
      throw unpackable('it ends before its index says', `sample ${index} at ${offset}`)
    }
  }
}
