import { damaged } from '../unpackable.ts'
import { readBytes, type SourceFile } from './source-file.ts'

export interface Box {
  type: string
  payload: Buffer
}

/** Where a box of the file is, its header included. */
export interface FileBox {
  type: string
  offset: number
  headerLength: number
  end: number
}

/** Far more than the fragments of any film, and few enough to be read within a minute. */
const MOST_FILE_BOXES = 1_000_000

/** ISO/IEC 14496-12 §4.2: size and type, perhaps a 64-bit size; a size of 0 reaches to the end. */
function header(
  bytes: Buffer,
  available: number,
): { type: string; headerLength: number; size: number } {
  if (bytes.length < 8) throw damaged('a box without a header')
  const size = bytes.readUInt32BE(0)
  const type = bytes.toString('latin1', 4, 8)
  if (size === 1 && bytes.length < 16) throw damaged(`${type} without its size`)
  const headerLength = size === 1 ? 16 : 8
  const told = size === 1 ? Number(bytes.readBigUInt64BE(8)) : size
  const whole = told === 0 ? available : told
  if (whole < headerLength || whole > available) throw damaged(`${type} of ${whole} bytes`)
  return { type, headerLength, size: whole }
}

/** The boxes inside one. Fewer than eight bytes at the end are padding, as QuickTime writes it. */
export function* childBoxes(payload: Buffer): Generator<Box> {
  let rest = payload
  while (rest.length >= 8) {
    const { type, headerLength, size } = header(rest, rest.length)
    yield { type, payload: rest.subarray(headerLength, size) }
    rest = rest.subarray(size)
  }
}

/** The first box at this path, or undefined. */
export function findBox(payload: Buffer, ...path: string[]): Buffer | undefined {
  let found: Buffer | undefined = payload
  for (const type of path) {
    if (found === undefined) return undefined
    found = firstOf(found, type)
  }
  return found
}

function firstOf(payload: Buffer, wanted: string): Buffer | undefined {
  for (const box of childBoxes(payload)) if (box.type === wanted) return box.payload
  return undefined
}

export function getBox(payload: Buffer, ...path: string[]): Buffer {
  const found = findBox(payload, ...path)
  if (found === undefined) throw damaged(`no ${path.join('/')}`)
  return found
}

/** The boxes of a file, of which only headers are read. */
export async function* fileBoxes(file: SourceFile, signal: AbortSignal): AsyncGenerator<FileBox> {
  let offset = 0
  for (let count = 0; offset + 8 <= file.sizeBytes; count += 1) {
    signal.throwIfAborted()
    if (count === MOST_FILE_BOXES) throw damaged('boxes without end')
    const available = file.sizeBytes - offset
    const bytes = await readBytes(file, offset, Math.min(16, available))
    const { type, headerLength, size } = header(bytes, available)
    yield { type, offset, headerLength, end: offset + size }
    offset += size
  }
}
