import { join } from 'node:path'
import {
  HeadObjectCommand,
  ListObjectsV2Command,
  type S3Client,
  type S3ServiceException,
} from '@aws-sdk/client-s3'
import type { S3Settings } from '../../config/s3-settings.ts'
import { AppError } from '../../errors.ts'
import { newId } from '../../ports/ids.ts'
import { createS3Client } from '../../ports/object-store/s3-client.ts'
import { downloadFromS3 } from '../../ports/object-store/s3-download.ts'
import { asS3Error, reasonOf } from '../../ports/object-store/s3-errors.ts'
import type { LegacyFile, LegacyMedia } from './legacy-media.ts'
import { namesMeantBy } from './legacy-names.ts'

/** Where the original keeps its media, as django-storages does: below `prefix`. */
interface LegacyPlace {
  settings: S3Settings
  /** False: without a key, as anybody may read it. */
  isSigned: boolean
  /** `/media/` */
  url: string
}

/** Objects of a bucket, which is sent nothing but HEAD and GET. Throws `misconfigured` where it cannot be read. */
export async function openLegacyBucket(place: LegacyPlace): Promise<LegacyMedia> {
  const { settings, isSigned, url } = place
  const { bucket, prefix } = settings
  const client = isSigned ? createS3Client(settings) : clientWithoutKey(settings)
  const starts = [url, `/${bucket}/`, ...(prefix === '' ? [] : [prefix])]
  await assertReadable(client, place).catch((error: unknown) => {
    client.destroy()
    throw error
  })
  return {
    async find(told) {
      if (typeof told !== 'string' || told.trim() === '') return null
      for (const name of namesMeantBy(told.trim(), starts)) {
        const file = await findObject(client, place, prefix + name)
        if (file !== null) return file
      }
      return null
    },
    isLocal: false,
    close: () => client.destroy(),
  }
}

async function findObject(
  client: S3Client,
  { settings: { bucket: Bucket }, isSigned }: LegacyPlace,
  Key: string,
): Promise<LegacyFile | null> {
  try {
    const head = await client.send(new HeadObjectCommand({ Bucket, Key }))
    const { ContentLength: sizeBytes = 0, ETag: etag = '' } = head
    if (sizeBytes === 0) return null
    return {
      name: Key.slice(Key.lastIndexOf('/') + 1),
      async fetch(workDir) {
        const path = join(workDir, newId())
        await downloadFromS3(client, { Bucket, Key, etag, sizeBytes }, path)
        return path
      },
    }
  } catch (error) {
    const status = statusOf(error)
    // What can be no key is a bad request, and to strangers what is absent is forbidden.
    if (status === 404 || status === 400 || (status === 403 && !isSigned)) return null
    throw unreadable(error, Bucket)
  }
}

/** With a key: whoever may not list is told that everything is forbidden, absent or not. */
async function assertReadable(client: S3Client, { settings, isSigned }: LegacyPlace) {
  const { bucket: Bucket, prefix: Prefix } = settings
  try {
    await client.send(new ListObjectsV2Command({ Bucket, Prefix, MaxKeys: 1 }))
  } catch (error) {
    if (isSigned || statusOf(error) !== 403) throw unreadable(error, Bucket)
  }
}

function clientWithoutKey(settings: S3Settings): S3Client {
  const client = createS3Client({
    ...settings,
    credentials: { accessKeyId: 'none', secretAccessKey: 'none' },
  })
  client.middlewareStack.remove('httpSigningMiddleware')
  return client
}

function unreadable(cause: unknown, bucket: string): AppError {
  const reason = cause instanceof AppError ? cause.message : reasonOf(cause)
  if (isAway(cause)) {
    return new AppError(
      'unavailable',
      `The bucket ${bucket} of the original does not answer as it should (${reason}): run this again once it does, or check the endpoint in LEGACY_AWS_… or AWS_….`,
      { cause },
    )
  }
  return new AppError(
    'misconfigured',
    `The bucket ${bucket} of the original cannot be read (${reason}): check --media-s3 and the key in LEGACY_AWS_… or AWS_…, which needs s3:GetObject and s3:ListBucket.`,
    { cause },
  )
}

/** No key would help. */
function isAway(cause: unknown): boolean {
  const error = asS3Error(cause)
  const status = statusOf(cause) ?? 0
  return (
    error instanceof AppError && error.code === 'unavailable' && !(status >= 400 && status < 500)
  )
}

function statusOf(error: unknown): number | undefined {
  return (error as S3ServiceException).$metadata?.httpStatusCode
}
