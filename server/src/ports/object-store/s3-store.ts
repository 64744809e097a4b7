import { createWriteStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { AppError } from '../../errors.ts'
import { newId } from '../ids.ts'
import type { LocalCache } from './local-cache.ts'
import { assertKey, isKey, type ObjectInfo, type ObjectStore } from './object-store.ts'
import { asS3Error, inOurWords } from './s3-errors.ts'
import { putFileToS3 } from './s3-put.ts'

const DOWNLOAD_ATTEMPTS = 5

/** Whether objects may be kept by browsers, and what they are. */
export interface ObjectHeaders {
  contentType: string
  cacheControl?: string
}

/** Objects below a prefix of a bucket. Never with an ACL: who may read them is for the bucket to say. */
export function s3Store(needs: {
  client: S3Client
  bucket: string
  /** Empty, or with a slash at its end. */
  prefix: string
  cache: LocalCache
  headersOf: (key: string) => ObjectHeaders
}): ObjectStore {
  const { client, bucket: Bucket, prefix, cache, headersOf } = needs

  const at = (key: string): { Bucket: string; Key: string } => {
    assertKey(key)
    return { Bucket, Key: prefix + key }
  }

  async function head(key: string): Promise<{ info: ObjectInfo; etag: string } | null> {
    try {
      const found = await client.send(new HeadObjectCommand(at(key)))
      const { ContentLength: sizeBytes = 0, LastModified: modifiedAt = new Date(0) } = found
      return { info: { key, sizeBytes, modifiedAt }, etag: found.ETag ?? '' }
    } catch (cause) {
      const error = asS3Error(cause)
      if (error instanceof AppError && error.code === 'not_found') return null
      throw error
    }
  }

  async function get(
    key: string,
    conditions: { Range?: string; IfMatch?: string } = {},
  ): Promise<Readable> {
    const reply = await inOurWords(() =>
      client.send(new GetObjectCommand({ ...at(key), ...conditions })),
    )
    return reply.Body as Readable
  }

  /** Goes on where the connection broke. */
  async function download(key: string, etag: string, sizeBytes: number, path: string) {
    let done = 0
    for (let attempt = 1; done < sizeBytes || attempt === 1; attempt += 1) {
      try {
        const range = done === 0 ? {} : { Range: `bytes=${done}-` }
        const body = await get(key, { ...range, ...(etag !== '' && { IfMatch: etag }) })
        await pipeline(
          body,
          createWriteStream(path, { flags: done === 0 ? 'w' : 'r+', start: done }),
        )
      } catch (error) {
        if (attempt >= DOWNLOAD_ATTEMPTS || isOfDisk(error)) throw asS3Error(error)
      }
      done = (await stat(path).catch(() => ({ size: 0 }))).size
    }
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
    async putFile(key, path) {
      const { contentType, cacheControl } = headersOf(key)
      const headers = {
        ContentType: contentType,
        ...(cacheControl !== undefined && { CacheControl: cacheControl }),
      }
      const target = at(key)
      await inOurWords(() => putFileToS3(client, target, path, headers))
    },

    async find(key) {
      return (await head(key))?.info ?? null
    },

    async read(key, range) {
      return await get(key, range && { Range: `bytes=${range.start}-${range.end}` })
    },

    async asLocalFile(key, workDir) {
      const found = await head(key)
      if (!found) throw new AppError('not_found', `no object ${key}`)
      const { info, etag } = found
      return await cache.fetch({
        key: prefix + key,
        version: etag,
        sizeBytes: info.sizeBytes,
        workDir,
        download: (path) => download(key, etag, info.sizeBytes, path),
      })
    },

    async delete(key) {
      await inOurWords(() => client.send(new DeleteObjectCommand(at(key))))
      await cache.forget(prefix + key)
    },

    list,

    async check() {
      const probe = { Bucket, Key: `${prefix}.check-${newId()}` }
      await inOurWords(async () => {
        await client.send(new PutObjectCommand({ ...probe, Body: 'Videoflix was here.' }))
        await client.send(new DeleteObjectCommand(probe))
      })
    },
  }
}

/** HEAD tells whole seconds, a list perhaps more. */
function inSeconds(date = new Date(0)): Date {
  return new Date(Math.floor(date.getTime() / 1000) * 1000)
}

function isOfDisk(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOSPC' || code === 'EDQUOT' || code === 'ENOENT' || error instanceof AppError
}
