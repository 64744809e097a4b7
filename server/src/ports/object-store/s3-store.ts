import type { Readable } from 'node:stream'
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { AppError } from '../../errors.ts'
import type { LocalCache } from './local-cache.ts'
import { assertKey, isKey, type ObjectInfo, type ObjectStore } from './object-store.ts'
import { downloadFromS3 } from './s3-download.ts'
import { asS3Error, inOurWords } from './s3-errors.ts'
import { putFileToS3 } from './s3-put.ts'
import { bodyInOurWords } from './s3-read.ts'

/** Whether objects may be kept by browsers, and what they are. */
export interface ObjectHeaders {
  contentType: string
  cacheControl?: string
}

interface Found {
  info: ObjectInfo
  etag: string
}

/** Objects below a prefix of a bucket. Never with an ACL: who may read them is for the bucket to say. */
export function s3Store(needs: {
  client: S3Client
  bucket: string
  /** Empty, or with a slash at its end. */
  prefix: string
  cache: LocalCache
  headersOf: (key: string) => ObjectHeaders
  /** A new key for `check`, under which a killed one may leave an object. */
  probeKey: () => string
}): ObjectStore {
  const { client, bucket: Bucket, prefix, cache, headersOf, probeKey } = needs

  const at = (key: string): { Bucket: string; Key: string } => {
    assertKey(key)
    return { Bucket, Key: prefix + key }
  }

  async function head(key: string, signal?: AbortSignal): Promise<Found | null> {
    try {
      const found = await client.send(new HeadObjectCommand(at(key)), until(signal))
      const { ContentLength: sizeBytes = 0, LastModified: modifiedAt = new Date(0) } = found
      return { info: { key, sizeBytes, modifiedAt }, etag: found.ETag ?? '' }
    } catch (cause) {
      signal?.throwIfAborted()
      const error = asS3Error(cause)
      if (error instanceof AppError && error.code === 'not_found') return null
      throw error
    }
  }

  function download(found: Found, path: string, signal: AbortSignal): Promise<void> {
    const { info, etag } = found
    const object = { ...at(info.key), etag, sizeBytes: info.sizeBytes }
    return downloadFromS3(client, object, path, signal)
  }

  async function* list(listed: string): AsyncIterable<ObjectInfo> {
    let token: string | undefined
    do {
      const page = await inOurWords(() =>
        client.send(
          new ListObjectsV2Command({
            Bucket,
            Prefix: prefix + listed,
            ...(token !== undefined && { ContinuationToken: token }),
          }),
        ),
      )
      for (const { Key = '', Size: sizeBytes = 0, LastModified } of page.Contents ?? []) {
        const key = Key.slice(prefix.length)
        // Somebody else's, such as the empty object that consoles make for a folder.
        if (isKey(key)) yield { key, sizeBytes, modifiedAt: inSeconds(LastModified) }
      }
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined
    } while (token !== undefined)
  }

  return {
    async putFile(key, path, signal) {
      const { contentType, cacheControl } = headersOf(key)
      const headers = {
        ContentType: contentType,
        ...(cacheControl !== undefined && { CacheControl: cacheControl }),
      }
      const target = at(key)
      const putting = () => putFileToS3(client, target, path, headers, signal)
      await inOurWords(putting, signal).catch(neverAbsent)
    },

    async find(key) {
      return (await head(key))?.info ?? null
    },

    async read(key, range) {
      const Range = range && { Range: `bytes=${range.start}-${range.end}` }
      const reply = await inOurWords(() =>
        client.send(new GetObjectCommand({ ...at(key), ...Range })),
      )
      return bodyInOurWords(reply.Body as Readable)
    },

    async asLocalFile(key, workDir, signal) {
      const found = await head(key, signal)
      if (!found) throw new AppError('not_found', `no object ${key}`)
      return await cache.fetch({
        key: prefix + key,
        version: found.etag,
        sizeBytes: found.info.sizeBytes,
        workDir,
        download: (path, givenUp) => download(found, path, givenUp),
        signal,
      })
    },

    async delete(key) {
      await inOurWords(() => client.send(new DeleteObjectCommand(at(key))))
      await cache.forget(prefix + key)
    },

    list,

    async check() {
      const probe = at(probeKey())
      await inOurWords(async () => {
        await client.send(new PutObjectCommand({ ...probe, Body: 'Videoflix was here.' }))
        await client.send(new DeleteObjectCommand(probe))
      })
    },
  }
}

function until(abortSignal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return abortSignal ? { abortSignal } : {}
}

/** Whoever stores something must not be told that it is not there: to them that means that trying again is useless. */
function neverAbsent(error: unknown): never {
  if (!(error instanceof AppError && error.code === 'not_found')) throw error
  const sentence = 'S3 has lost a file on its way there: it has to be sent again.'
  throw new AppError('unavailable', sentence, { cause: error })
}

/** HEAD tells whole seconds, a list perhaps more. */
function inSeconds(date = new Date(0)): Date {
  return new Date(Math.floor(date.getTime() / 1000) * 1000)
}
