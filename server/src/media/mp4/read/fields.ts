import { damaged } from '../unpackable.ts'

/** Reads numbers in order, big-endian. Every step beyond the end throws MediaFailure. */
export class Fields {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  u8(): number {
    return this.#bytes.readUInt8(this.#step(1))
  }

  u16(): number {
    return this.#bytes.readUInt16BE(this.#step(2))
  }

  u24(): number {
    return this.#bytes.readUIntBE(this.#step(3), 3)
  }

  u32(): number {
    return this.#bytes.readUInt32BE(this.#step(4))
  }

  i32(): number {
    return this.#bytes.readInt32BE(this.#step(4))
  }

  /** Up to 2^53 - 1: larger ones are no offset and no time of a film. */
  u64(): number {
    const value = this.u32() * 2 ** 32 + this.u32()
    if (!Number.isSafeInteger(value)) throw damaged('a 64-bit number beyond 2^53')
    return value
  }

  i64(): number {
    const value = this.i32() * 2 ** 32 + this.u32()
    if (!Number.isSafeInteger(value)) throw damaged('a 64-bit number beyond 2^53')
    return value
  }

  bytes(length: number): Buffer {
    const from = this.#step(length)
    return this.#bytes.subarray(from, from + length)
  }

  skip(length: number): void {
    this.#step(length)
  }

  /** A count of entries that have to follow: refused where fewer bytes are left. */
  entries(entryLength: number): number {
    const count = this.u32()
    if (count * entryLength > this.left) throw damaged(`a table of ${count} in ${this.left} bytes`)
    return count
  }

  #step(length: number): number {
    const from = this.#at
    if (from + length > this.#bytes.length) throw damaged('a box that is too short')
    this.#at = from + length
    return from
  }
}

/** ISO/IEC 14496-12 §4.2: version and flags before the fields. */
export function fullBox(payload: Buffer): { version: number; flags: number; fields: Fields } {
  const fields = new Fields(payload)
  return { version: fields.u8(), flags: fields.u24(), fields }
}
