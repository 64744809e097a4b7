/** ISO/IEC 14496-12 §4.2. Nothing here is larger than 4 GiB; the one `mdat` that may be has its own header. */
export function box(type: string, ...payload: Uint8Array[]): Buffer {
  const length = 8 + payload.reduce((sum, part) => sum + part.length, 0)
  return Buffer.concat([u32(length), Buffer.from(type, 'latin1'), ...payload], length)
}

export function fullBox(
  type: string,
  { version = 0, flags = 0 }: { version?: number; flags?: number },
  ...payload: Uint8Array[]
): Buffer {
  return box(type, u32(version * 2 ** 24 + flags), ...payload)
}

export function u16(...values: number[]): Buffer {
  const bytes = Buffer.alloc(2 * values.length)
  for (const [index, value] of values.entries()) bytes.writeUInt16BE(value, 2 * index)
  return bytes
}

export function u32(...values: number[]): Buffer {
  return u32List(values)
}

/** For tables: as an argument list they would not fit on the stack. Negative ones in two's complement. */
export function u32List(values: ArrayLike<number>): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let index = 0; index < values.length; index += 1) {
    view.setUint32(4 * index, values[index] ?? 0)
  }
  return bytes
}

export function u64List(values: ArrayLike<number>): Buffer {
  const bytes = Buffer.alloc(8 * values.length)
  for (let index = 0; index < values.length; index += 1) {
    bytes.writeBigUInt64BE(BigInt(values[index] ?? 0), 8 * index)
  }
  return bytes
}

export function u64(value: number): Buffer {
  return u64List([value])
}

export const U32_MAX = 2 ** 32 - 1

/** Times take 32 bits in version 0 of a box and 64 in version 1. */
export function sized(version: number, value: number): Buffer {
  return version === 1 ? u64(value) : u32(value)
}

export function versionFor(...values: number[]): 0 | 1 {
  return values.some((value) => value > U32_MAX) ? 1 : 0
}
