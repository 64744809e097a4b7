import { PassThrough, type Readable } from 'node:stream'
import { asS3Error } from './s3-errors.ts'

/** The body of an answer, which breaks off in our words. */
export function bodyInOurWords(body: Readable): Readable {
  const bytes = new PassThrough({ highWaterMark: 256 * 1024 })
  body.on('error', (error) => bytes.destroy(asS3Error(error) as Error))
  bytes.on('close', () => body.destroy())
  return body.pipe(bytes)
}
