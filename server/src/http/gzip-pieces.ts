import { promisify } from 'node:util'
import { constants, crc32, inflateRaw } from 'node:zlib'
import { deflateBlocks } from './deflate.ts'

/**
 * Parts of one gzip file (RFC 1952), compressed each for itself, so that they can be kept and joined in any order. Not as
 * members of their own, although §2.2 allows that: browsers read only the first.
 */
export interface Piece {
  /** Blocks of deflate (RFC 1951) that end on a byte, none of them the last. */
  deflated: Buffer
  crc: number
  /** Before compression. */
  sizeBytes: number
}

const inflate = promisify(inflateRaw)
const OPEN_END = { finishFlush: constants.Z_SYNC_FLUSH }

export async function toPiece(bytes: Buffer): Promise<Piece> {
  const deflating = deflateBlocks(bytes)
  const crc = crc32(bytes)
  return { deflated: await deflating, crc, sizeBytes: bytes.length }
}

export async function bytesOf({ deflated }: Piece): Promise<Buffer> {
  return await inflate(deflated, OPEN_END)
}

/** A whole gzip file. */
export async function gzip(bytes: Buffer): Promise<Buffer> {
  const { deflated, crc, sizeBytes } = await toPiece(bytes)
  return Buffer.concat([HEADER, deflated, endOf(crc, sizeBytes)])
}

/** No name, no time, and no system (255). */
const HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])
/** An empty block that is the last one. */
const LAST_BLOCK = Buffer.from([0x03, 0x00])

/** One gzip file of all pieces. */
export async function* joinPieces(pieces: AsyncIterable<Piece>): AsyncGenerator<Buffer> {
  let [crc, size] = [0, 0]
  yield HEADER
  for await (const piece of pieces) {
    crc = joinCrcs(crc, piece.crc, piece.sizeBytes)
    size = (size + piece.sizeBytes) % 2 ** 32
    yield piece.deflated
  }
  yield endOf(crc, size)
}

function endOf(crc: number, sizeBytes: number): Buffer {
  const trailer = Buffer.alloc(8)
  trailer.writeUInt32LE(crc, 0)
  trailer.writeUInt32LE(sizeBytes, 4)
  return Buffer.concat([LAST_BLOCK, trailer])
}

/** CRC-32, bits reversed as gzip has it. */
const POLYNOMIAL = 0xed_b8_83_20

/** The CRC of two texts in a row: that of the first, times x to the bits of the second, plus that of the second. */
export function joinCrcs(first: number, second: number, secondBytes: number): number {
  return (times(first, powerOfX(secondBytes * 8)) ^ second) >>> 0
}

/** The product of two polynomials over GF(2), modulo that of the CRC. The highest bit is the coefficient of 1. */
function times(one: number, other: number): number {
  let product = 0
  let factor = other
  for (let bit = 31; bit >= 0; bit -= 1) {
    if ((one >>> bit) & 1) product ^= factor
    factor = factor & 1 ? (factor >>> 1) ^ POLYNOMIAL : factor >>> 1
  }
  return product >>> 0
}

function powerOfX(exponent: number): number {
  let power = 0x80_00_00_00
  let square = 0x40_00_00_00
  for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) power = times(power, square)
    square = times(square, square)
  }
  return power >>> 0
}
