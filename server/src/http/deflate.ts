import { constants, createDeflateRaw, type DeflateRaw } from 'node:zlib'

/**
 * Deflate (RFC 1951) with one compressor for all that this process compresses, one after the other.
 *
 * A compressor for each answer, as `zlib.gzip` makes one, is what V8 frees only when it looks through its whole heap, and
 * with it the 100 KB it has at hand. A page of fifty videos for each of sixty requests then stops everything for 25 ms.
 */
let compressor: DeflateRaw | undefined
let last: Promise<unknown> | null = null

/** Blocks that end on a byte, none of them the last, and that refer to nothing before them. */
export async function deflateBlocks(bytes: Buffer): Promise<Buffer> {
  // Begun at once, if it can be: the caller has more to do meanwhile.
  const deflated = last ? last.then(() => deflateNow(bytes)) : deflateNow(bytes)
  const done = deflated
    .catch(() => {})
    .then(() => {
      if (last === done) last = null
    })
  last = done
  return await deflated
}

function deflateNow(bytes: Buffer): Promise<Buffer> {
  const stream = (compressor ??= createDeflateRaw())
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const take = (chunk: Buffer): void => void chunks.push(chunk)
    const fail = (error: Error): void => {
      compressor = undefined
      reject(error)
    }
    stream.on('data', take).once('error', fail)
    stream.write(bytes)
    stream.flush(constants.Z_FULL_FLUSH, () => {
      stream.off('data', take).off('error', fail)
      resolve(Buffer.concat(chunks))
    })
  })
}
