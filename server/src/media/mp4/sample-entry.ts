import { aacConfig, avcCodec } from './codec-string.ts'
import { childBoxes, findBox, getBox } from './read/box-reader.ts'
import { Fields, fullBox } from './read/fields.ts'
import { unpackable } from './unpackable.ts'
import { box, u32 } from './write/boxes.ts'

export type SampleEntry = VideoEntry | AudioEntry

export interface VideoEntry {
  kind: 'video'
  /** The `avc1` box to be written: without names, pixel shape and bit rate. */
  bytes: Buffer
  codec: string
  width: number
  height: number
  avcC: Buffer
}

export interface AudioEntry {
  kind: 'audio'
  /** The `mp4a` box to be written. */
  bytes: Buffer
  codec: string
  channels: number
}

/** The only description in an `stsd` (ISO/IEC 14496-12 §8.5.2). Refuses all but H.264 and AAC. */
export function readSampleEntry(stsd: Buffer): SampleEntry {
  const { fields } = fullBox(stsd)
  const count = fields.u32()
  const [entry, ...more] = childBoxes(fields.bytes(fields.left))
  if (entry === undefined || count !== 1 || more.length > 0) {
    throw unpackable('its pictures or its sound change their format', `${count} descriptions`)
  }
  if (entry.type === 'avc1') return videoEntry(entry.payload)
  if (entry.type === 'mp4a') return audioEntry(entry.payload)
  throw unpackable('it is not H.264 and AAC', entry.type)
}

/** §12.1.3: up to the child boxes. */
const VISUAL_LENGTH = 78
/** §12.2.3, of version 0. */
const AUDIO_LENGTH = 28

function videoEntry(payload: Buffer): VideoEntry {
  const fixed = Buffer.from(new Fields(payload).bytes(VISUAL_LENGTH))
  const children = payload.subarray(VISUAL_LENGTH)
  const avcC = getBox(children, 'avcC')
  // Reserved, then the name of the encoder.
  fixed.fill(0, 8, 24).fill(0, 42, 74)
  const colr = findBox(children, 'colr')
  return {
    kind: 'video',
    bytes: box(
      'avc1',
      fixed,
      box('avcC', avcC),
      ...(colr === undefined ? [] : [box('colr', colr)]),
    ),
    codec: avcCodec(avcC),
    width: fixed.readUInt16BE(24),
    height: fixed.readUInt16BE(26),
    avcC: Buffer.from(avcC),
  }
}

function audioEntry(payload: Buffer): AudioEntry {
  const fixed = Buffer.from(new Fields(payload).bytes(AUDIO_LENGTH))
  if (fixed.readUInt16BE(8) !== 0) throw unpackable('its sound is described as QuickTime does')
  const esds = getBox(payload.subarray(AUDIO_LENGTH), 'esds')
  const { codec, channels } = aacConfig(esds)
  const bytes = box('mp4a', fixed, box('esds', esds))
  return { kind: 'audio', bytes, codec, channels: channels ?? fixed.readUInt16BE(16) }
}

/** An `stsd` with it alone. */
export function sampleDescription({ bytes }: SampleEntry): Buffer {
  return box('stsd', u32(0, 1), bytes)
}
