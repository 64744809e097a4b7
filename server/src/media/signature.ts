import { open } from 'node:fs/promises'

/**
 * What the first bytes say about files that ffprobe refuses without telling why, or takes for a
 * film of one picture.
 */
export type Signature = 'empty' | 'picture' | 'text' | 'mp4_without_index' | 'unknown'

const HEAD_BYTES = 4096

export async function signature(path: string): Promise<Signature> {
  await using file = await open(path, 'r')
  const { size } = await file.stat()
  if (size === 0) return 'empty'
  const head = Buffer.alloc(Math.min(size, HEAD_BYTES))
  await file.read(head, 0, head.length, 0)
  if (isPicture(head)) return 'picture'
  if (isText(head)) return 'text'
  if (isBox(head, 'ftyp', 'mdat', 'wide', 'free', 'skip') && !(await hasIndex(file, size))) {
    return 'mp4_without_index'
  }
  return 'unknown'
}

function isPicture(head: Buffer): boolean {
  const start = head.toString('latin1', 0, 4)
  return (
    ['\x89PNG', 'GIF8', 'II*\0', 'MM\0*', '8BPS'].includes(start) ||
    start.startsWith('\xff\xd8\xff') ||
    start.startsWith('BM') ||
    (start === 'RIFF' && head.toString('latin1', 8, 12) === 'WEBP') ||
    (isBox(head, 'ftyp') && /^(heic|heix|mif1|avif)/.test(head.toString('latin1', 8, 12)))
  )
}

/** No container can do without control characters this early. */
function isText(head: Buffer): boolean {
  return head.every((byte) => byte >= 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d)
}

function isBox(head: Buffer, ...types: string[]): boolean {
  return head.length >= 8 && types.includes(head.toString('latin1', 4, 8))
}

/**
 * Whether a `moov` is among the boxes of the first level (ISO/IEC 14496-12 §4.2). A file cut short
 * by its transport has lost it, as it is usually the last.
 */
async function hasIndex(file: Awaited<ReturnType<typeof open>>, size: number): Promise<boolean> {
  const header = Buffer.alloc(16)
  let at = 0
  for (let boxes = 0; boxes < 10_000 && at + 8 <= size; boxes += 1) {
    await file.read(header, 0, 16, at)
    if (header.toString('latin1', 4, 8) === 'moov') return true
    const short = header.readUInt32BE(0)
    const length = short === 1 ? Number(header.readBigUInt64BE(8)) : short
    if (length < 8) return false // 0: up to the end of the file; less: no box
    at += length
  }
  return false
}
