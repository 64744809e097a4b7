import { damaged } from '../unpackable.ts'
import { Fields } from './fields.ts'
import { readBytes, type SourceFile } from './source-file.ts'

/** How samples of H.264 are read: ISO/IEC 14496-15 §5.3.3.1. */
export interface AvcConfig {
  /** Bytes of the length before each NAL unit. */
  lengthSize: number
  /** SPS and PPS, which hold for all samples. */
  parameterSets: Buffer[]
}

export function readAvcConfig(avcC: Buffer): AvcConfig {
  const fields = new Fields(avcC)
  fields.skip(4)
  const lengthSize = (fields.u8() & 3) + 1
  const listOf = (count: number): Buffer[] => {
    return Array.from({ length: count }, () => fields.bytes(fields.u16()))
  }
  const sequence = listOf(fields.u8() & 31)
  return { lengthSize, parameterSets: [...sequence, ...listOf(fields.u8())] }
}

/**
 * What a sample turns out to be by its NAL units up to the first slice: an IDR picture, another, or
 * one that brings parameters of its own, so that it cannot be decoded with those of another file.
 */
export type KeyframeKind = 'idr' | 'not_idr' | 'foreign_parameters'

/** Rec. ITU-T H.264 table 7-1. */
const NON_IDR = new Set([1, 2, 3, 4])
const IDR = 5
const PARAMETER_SETS = new Set([7, 8])

/** More come before no slice; keeps a sample of empty units from being read for long. */
const MOST_UNITS = 64
/** Reaches to the slice of nearly all: x264 tells its settings in 700 bytes before the first. */
const FIRST_READ = 1024

export async function keyframeKind(
  file: SourceFile,
  sample: { offset: number; size: number },
  { lengthSize, parameterSets }: AvcConfig,
): Promise<KeyframeKind> {
  const bytes = new SampleStart(file, sample)
  let at = 0
  for (let unit = 0; unit < MOST_UNITS && at + lengthSize < sample.size; unit += 1) {
    const prefix = await bytes.at(at, lengthSize + 1)
    const length = prefix.readUIntBE(0, lengthSize)
    const type = prefix.readUInt8(lengthSize) & 31
    const end = at + lengthSize + length
    if (end > sample.size) throw damaged('a NAL unit beyond its sample')
    if (type === IDR) return 'idr'
    if (NON_IDR.has(type)) return 'not_idr'
    if (PARAMETER_SETS.has(type)) {
      const set = await bytes.at(at + lengthSize, length)
      if (!parameterSets.some((known) => known.equals(set))) return 'foreign_parameters'
    }
    at = end
  }
  return 'not_idr'
}

/** The bytes of a sample, of which only those that are asked for are read. */
class SampleStart {
  readonly #file: SourceFile
  readonly #sample: { offset: number; size: number }
  #start = 0
  #bytes: Buffer = Buffer.alloc(0)

  constructor(file: SourceFile, sample: { offset: number; size: number }) {
    this.#file = file
    this.#sample = sample
  }

  async at(from: number, length: number): Promise<Buffer> {
    const { offset, size } = this.#sample
    if (from + length > size) throw damaged('a NAL unit beyond its sample')
    if (from < this.#start || from + length > this.#start + this.#bytes.length) {
      this.#start = from
      const wanted = Math.min(size - from, Math.max(FIRST_READ, length))
      this.#bytes = await readBytes(this.#file, offset + from, wanted)
    }
    return this.#bytes.subarray(from - this.#start, from - this.#start + length)
  }
}
