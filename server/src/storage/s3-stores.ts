import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PutBucketCorsCommand, type S3Client } from '@aws-sdk/client-s3'
import type { S3Settings } from '../config/s3-settings.ts'
import { AppError } from '../errors.ts'
import { newId } from '../ports/ids.ts'
import { localCache } from '../ports/object-store/local-cache.ts'
import { LONGEST_PUT_MS, type ObjectStore } from '../ports/object-store/object-store.ts'
import { createS3Client } from '../ports/object-store/s3-client.ts'
import { followCredentials } from '../ports/object-store/s3-credentials.ts'
import { inOurWords } from '../ports/object-store/s3-errors.ts'
import { s3MultipartUploads } from '../ports/object-store/s3-multipart.ts'
import { addressOf, createS3Urls } from '../ports/object-store/s3-presign.ts'
import { s3Store, type ObjectHeaders } from '../ports/object-store/s3-store.ts'
import { mediaTypeOf } from './media-type.ts'
import { probeKeys } from './probe-keys.ts'
import { createS3MediaUrls } from './s3-media-urls.ts'
import type { SignedUrls } from './signed-urls.ts'
import type { Stores } from './stores.ts'

const HOUR_MS = 3_600_000

/** All in one bucket: only `media/` is ever handed out. */
export async function openS3Stores(settings: S3Settings, cacheDir: string): Promise<Stores> {
  const { bucket, prefix, signsUrls } = settings
  const client = createS3Client(settings)
  const credentials = await followCredentials(client)
  const urls = createS3Urls({ settings, credentials: () => credentials.current() })
  const cache = localCache({ folder: cacheDir, limitBytes: settings.cacheBytes })
  const prefixes = {
    originals: `${prefix}originals/`,
    work: `${prefix}work/`,
    media: `${prefix}media/`,
  }

  const storeAt = (
    place: keyof typeof prefixes,
    headersOf: (key: string) => ObjectHeaders,
  ): ObjectStore =>
    s3Store({
      ...{ client, bucket, cache, headersOf },
      prefix: prefixes[place],
      probeKey: probeKeys[place],
    })
  const uploadsAt = (place: string) => s3MultipartUploads({ client, bucket, prefix: place, urls })

  const ofMedia = (key: string): ObjectHeaders => ({
    contentType: mediaTypeOf(key),
    cacheControl: signsUrls
      ? 'private, max-age=3600, immutable'
      : 'public, max-age=31536000, immutable',
  })
  const ofOthers = (): ObjectHeaders => ({ contentType: 'application/octet-stream' })
  const media = storeAt('media', ofMedia)
  const mediaUrls = createS3MediaUrls({ urls, prefix: prefixes.media, signs: signsUrls })

  async function tidy(now: Date): Promise<void> {
    await cache.tidy()
    const before = new Date(now.getTime() - LONGEST_PUT_MS)
    for (const uploads of [uploadsAt(prefixes.work), uploadsAt(prefixes.media)]) {
      for await (const { key, id } of uploads.listBegunBefore(before)) await uploads.abort(key, id)
    }
  }

  return {
    originals: storeAt('originals', ofOthers),
    intermediates: storeAt('work', ofOthers),
    media,
    bucket: {
      origin: new URL(addressOf(settings).base).origin,
      urls: mediaUrls,
      uploads: uploadsAt(prefixes.originals),
      allowOrigins: (origins) => allowOrigins(client, bucket, origins),
      allowsOrigin: (origin) => allowsOrigin(mediaUrls.urlUntil('any', soon()), origin),
      checkDelivery: () =>
        checkDelivery({
          media,
          mediaUrls,
          cacheDir,
          plainUrl: (key) => urls.plain(prefixes.media + key),
        }),
    },
    tidy: hourly(tidy),
    close() {
      credentials.stop()
      client.destroy()
    },
  }
}

function hourly(work: (now: Date) => Promise<void>): (now?: Date) => Promise<void> {
  let lastRun = Number.NEGATIVE_INFINITY
  return async (now = new Date()) => {
    if (Date.now() - lastRun < HOUR_MS) return
    lastRun = Date.now()
    await work(now)
  }
}

async function allowOrigins(client: S3Client, bucket: string, origins: string[]): Promise<void> {
  const rule = {
    AllowedOrigins: origins,
    AllowedMethods: ['GET', 'HEAD', 'PUT'],
    AllowedHeaders: ['*'],
    ExposeHeaders: ['ETag', 'Content-Length', 'Content-Range', 'Accept-Ranges'],
    MaxAgeSeconds: 3600,
  }
  await inOurWords(() =>
    client.send(
      new PutBucketCorsCommand({ Bucket: bucket, CORSConfiguration: { CORSRules: [rule] } }),
    ),
  )
}

/** Asks as a browser does before a page may read ranges, and before it may send a part. */
async function allowsOrigin(url: string, origin: string): Promise<boolean> {
  const wishes = [
    { 'access-control-request-method': 'GET', 'access-control-request-headers': 'range' },
    { 'access-control-request-method': 'PUT' },
  ]
  const replies = await Promise.all(
    wishes.map((wish) => fetch(url, { method: 'OPTIONS', headers: { origin, ...wish } })),
  )
  for (const reply of replies) await reply.body?.cancel()
  return replies.every(({ ok, headers }) => {
    const allowed = headers.get('access-control-allow-origin')
    return ok && (allowed === origin || allowed === '*')
  })
}

const soon = (): number => Math.ceil(Date.now() / 1000) + 60

/** As a browser does it, with and without a signature. */
async function checkDelivery(needs: {
  media: ObjectStore
  mediaUrls: SignedUrls
  cacheDir: string
  plainUrl: (key: string) => string
}): Promise<void> {
  const { media, mediaUrls, cacheDir, plainUrl } = needs
  const key = probeKeys.media()
  const path = join(cacheDir, `check-${newId()}.unfinished`)
  const url = mediaUrls.urlUntil(key, soon())
  try {
    await mkdir(cacheDir, { recursive: true })
    await writeFile(path, 'Videoflix was here.')
    await media.putFile(key, path)
    const [meant, plain] = [await statusOf(url), await statusOf(plainUrl(key))]
    if (meant !== 200) throw undelivered(url === plainUrl(key), meant)
    if (plain === 200 && url !== plainUrl(key)) throw isPublic()
  } finally {
    await rm(path, { force: true })
    await media.delete(key)
  }
}

async function statusOf(url: string): Promise<number | string> {
  try {
    const reply = await fetch(url, { redirect: 'manual' })
    await reply.body?.cancel()
    return reply.status
  } catch (error) {
    const { cause, message } = error as Error & { cause?: { code?: string } }
    return cause?.code ?? message
  }
}

function undelivered(isPlain: boolean, status: number | string): AppError {
  const advice = isPlain
    ? 'let anybody read media/ in the bucket, or set AWS_S3_QUERYSTRING_AUTH=True'
    : 'check AWS_S3_REGION_NAME, AWS_S3_ENDPOINT_URL and AWS_S3_ADDRESSING_STYLE'
  return new AppError(
    'misconfigured',
    `Media cannot be fetched from the bucket (${status}): ${advice}.`,
  )
}

function isPublic(): AppError {
  return new AppError(
    'misconfigured',
    'Anybody can read media in the bucket without a signature: make the bucket private, or set AWS_S3_QUERYSTRING_AUTH=False if that is meant.',
  )
}
