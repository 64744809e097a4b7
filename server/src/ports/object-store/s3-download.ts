import { createWriteStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { AppError } from '../../errors.ts'
import { inOurWords } from './s3-errors.ts'

/** Without a byte more. That requests fail is counted by the client. */
const FRUITLESS_ATTEMPTS = 5

/** Writes an object to a file; goes on where the connection broke. Throws if it is another object by then. */
export async function downloadFromS3(
  client: S3Client,
  object: { Bucket: string; Key: string; etag: string; sizeBytes: number },
  path: string,
  signal?: AbortSignal,
): Promise<void> {
  const { Bucket, Key, etag, sizeBytes } = object
  let done = 0
  for (let attempt = 1; attempt <= FRUITLESS_ATTEMPTS; attempt += 1) {
    const wanted = {
      ...{ Bucket, Key },
      ...(done > 0 && { Range: `bytes=${done}-` }),
      ...(etag !== '' && { IfMatch: etag }),
    }
    const reply = await inOurWords(
      () => client.send(new GetObjectCommand(wanted), signal ? { abortSignal: signal } : {}),
      signal,
    )
    try {
      const target = createWriteStream(path, { flags: done === 0 ? 'w' : 'r+', start: done })
      await pipeline(reply.Body as Readable, target, signal ? { signal } : {})
    } catch (error) {
      signal?.throwIfAborted()
      if (isOfDisk(error)) throw error
    }
    const { size } = await stat(path).catch(() => ({ size: 0 }))
    if (size >= sizeBytes) return
    if (size > done) attempt = 0
    done = size
  }
  throw new AppError('unavailable', `S3 cannot be used now: ${done} bytes of ${sizeBytes} arrived.`)
}

function isOfDisk(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOSPC' || code === 'EDQUOT' || code === 'ENOENT'
}
