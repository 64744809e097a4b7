/** Protocol Buffers, as far as traces need them (https://protobuf.dev/programming-guides/encoding/). */
export interface Message {
  /** All values of a field, in order: bytes of what has a length, else numbers. */
  all(field: number): (Buffer | bigint)[]
  messages(field: number): Message[]
  text(field: number): string
  hex(field: number): string
  number(field: number): number
  has(field: number): boolean
}

export function readMessage(bytes: Buffer): Message {
  const fields = new Map<number, (Buffer | bigint)[]>()
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = BigInt(bytes.readUInt8(at++))
      value |= (byte & 127n) << shift
      if (byte < 128n) return value
    }
  }
  const take = (length: number): Buffer => bytes.subarray(at, (at += length))
  const value = (wireType: number): Buffer | bigint => {
    if (wireType === 0) return varint()
    if (wireType === 1) return take(8).readBigUInt64LE()
    if (wireType === 2) return take(Number(varint()))
    if (wireType === 5) return BigInt(take(4).readUInt32LE())
    throw new Error(`there is no wire type ${wireType}`)
  }
  while (at < bytes.length) {
    const tag = Number(varint())
    const field = tag >> 3
    fields.set(field, [...(fields.get(field) ?? []), value(tag & 7)])
  }
  const all = (field: number): (Buffer | bigint)[] => fields.get(field) ?? []
  const bytesOf = (field: number): Buffer =>
    Buffer.from((all(field)[0] as Buffer | undefined) ?? '')
  return {
    all,
    messages: (field) => all(field).map((each) => readMessage(each as Buffer)),
    text: (field) => bytesOf(field).toString('utf8'),
    hex: (field) => bytesOf(field).toString('hex'),
    number: (field) => Number(all(field)[0] ?? 0),
    has: (field) => fields.has(field),
  }
}
