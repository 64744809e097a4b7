import { unpackable } from './unpackable.ts'
import { Fields } from './read/fields.ts'

/** Of an `avcC`: profile, constraints and level (RFC 6381 §3.3, ISO/IEC 14496-15 §5.3.3.1). */
export function avcCodec(avcC: Buffer): string {
  const fields = new Fields(avcC)
  fields.skip(1)
  return `avc1.${fields.bytes(3).toString('hex')}`
}

export interface AacConfig {
  /** `mp4a.40.2` */
  codec: string
  /** Null where a program config element tells it. */
  channels: number | null
}

/** ISO/IEC 14496-1 §7.2.2.1 */
const ES_DESCRIPTOR = 3
const DECODER_CONFIG = 4
const DECODER_SPECIFIC_INFO = 5
/** Object type of MPEG-4 audio: §7.2.6.6. */
const MPEG4_AUDIO = 0x40

/** Of an `esds` (ISO/IEC 14496-14 §5.6). Refuses all but MPEG-4 audio. */
export function aacConfig(esds: Buffer): AacConfig {
  const stream = new Fields(descriptor(new Fields(esds.subarray(4)), ES_DESCRIPTOR))
  stream.skip(2)
  const flags = stream.u8()
  if (flags & 0x80) stream.skip(2)
  if (flags & 0x40) stream.skip(stream.u8())
  if (flags & 0x20) stream.skip(2)
  const decoder = new Fields(descriptor(stream, DECODER_CONFIG))
  if (decoder.u8() !== MPEG4_AUDIO) throw unpackable('its sound is not AAC')
  decoder.skip(12)
  return audioConfig(descriptor(decoder, DECODER_SPECIFIC_INFO))
}

/** The body of the descriptor that comes next: a tag, then a length in up to four groups of seven bits. */
function descriptor(fields: Fields, wanted: number): Buffer {
  if (fields.u8() !== wanted) throw unpackable('its sound does not describe itself')
  let length = 0
  for (let group = 0; group < 4; group += 1) {
    const byte = fields.u8()
    length = length * 128 + (byte & 0x7f)
    if (byte < 0x80) break
  }
  return fields.bytes(length)
}

/** AudioSpecificConfig, ISO/IEC 14496-3 §1.6.2.1. */
function audioConfig(bytes: Buffer): AacConfig {
  const bits = new Bits(bytes)
  const objectType = bits.read(5)
  const audioObjectType = objectType === 31 ? 32 + bits.read(6) : objectType
  if (bits.read(4) === 15) bits.read(24)
  const configuration = bits.read(4)
  const channels = configuration === 7 ? 8 : configuration === 0 ? null : configuration
  return { codec: `mp4a.40.${audioObjectType}`, channels }
}

class Bits {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  read(count: number): number {
    let value = 0
    for (const end = this.#at + count; this.#at < end; this.#at += 1) {
      const byte = this.#bytes[this.#at >> 3]
      if (byte === undefined) throw unpackable('its sound does not describe itself')
      value = value * 2 + ((byte >> (7 - (this.#at & 7))) & 1)
    }
    return value
  }
}
