import { isIP } from 'node:net'
import { z } from 'zod'
import { flag, httpUrl, integer, seconds, text } from './env-values.ts'

/** Media, originals and intermediates in a bucket of an S3-compatible store. */
export interface S3Settings {
  bucket: string
  region: string
  /** Null: that of AWS for the region. Without a slash at its end. */
  endpoint: string | null
  /** `endpoint/bucket/key` instead of `bucket.endpoint/key`. */
  isPathStyle: boolean
  /** Null: what the machine has (environment, profile, container, instance). */
  credentials: { accessKeyId: string; secretAccessKey: string } | null
  /** Of every key: empty, or with a slash at its end. */
  prefix: string
  /** False: media is public, and its URLs are plain. */
  signsUrls: boolean
  /** How much of the disk local copies may take. */
  cacheBytes: number
  /** Without a byte in either direction for so long, a request to S3 is given up. */
  silenceMs: number
}

const bucketName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$/, {
  error: 'write the name of a bucket, 3 to 63 letters, digits, dots or hyphens',
})

const endpoint = httpUrl
  .refine((value) => /^https?:\/\/[^/?#@]+(\/[\w./-]*)?$/i.test(value), {
    error: 'write scheme and host, such as https://s3.example.com',
  })
  .transform((value) => value.replace(/\/+$/, ''))

const location = z.string().transform((value, context) => {
  const path = value.replaceAll(/^\/+|\/+$/g, '')
  if (path === '') return ''
  if (/^[A-Za-z0-9_-][\w.-]*(\/[A-Za-z0-9_-][\w.-]*)*$/.test(path)) return `${path}/`
  context.addIssue('write folders such as videoflix/films')
  return z.NEVER
})

export const S3_ENV = {
  USE_S3_MEDIA: flag.describe(
    'Keep media, originals and intermediate files in an S3 bucket instead of `DATA_DIR` and `MEDIA_ROOT` (see [s3.md](s3.md)). Default False.',
  ),
  AWS_STORAGE_BUCKET_NAME: bucketName.describe('The bucket.'),
  AWS_ACCESS_KEY_ID: text.describe(
    'Key of an account that may use it. Default: what the machine has (profile, container or instance role).',
  ),
  AWS_SECRET_ACCESS_KEY: text.describe('The secret that goes with it.'),
  AWS_S3_REGION_NAME: z
    .string()
    .regex(/^[a-z0-9-]+$/i, { error: 'write a region such as eu-central-1' })
    .describe('Its region; needed for AWS. Default with AWS_S3_ENDPOINT_URL: `us-east-1`.'),
  AWS_S3_ENDPOINT_URL: endpoint.describe(
    'Where an S3-compatible store is that is not AWS (MinIO, Garage, Ceph, R2), as browsers reach it too.',
  ),
  AWS_S3_ADDRESSING_STYLE: z
    .enum(['path', 'virtual'], { error: 'write path or virtual' })
    .describe(
      '`path` (`host/bucket/key`) or `virtual` (`bucket.host/key`). Default `path` with AWS_S3_ENDPOINT_URL, else `virtual`.',
    ),
  AWS_S3_QUERYSTRING_AUTH: flag.describe(
    'Whether URLs of media are signed and expire. False: they are plain, and the bucket must let anybody read `media/`. Default True.',
  ),
  AWS_LOCATION: location.describe('Folder in the bucket that everything is below. Default none.'),
  S3_CACHE_BYTES: integer(0).describe(
    'How much of the disk workers keep of what they fetched, for their next steps. Default 20000000000 (20 GB).',
  ),
  S3_TIMEOUT: seconds(1).describe(
    'How long S3 may be silent before a request to it is given up and made once more. Default 20.',
  ),
} as const

type S3Env = { [Name in keyof typeof S3_ENV]?: z.output<(typeof S3_ENV)[Name]> } & {
  MEDIA_URL_TTL?: number
}

const DAY_MS = 86_400_000
/** A signature of S3 lives for seven days at most, and lifetimes are rounded up by a quarter. */
const LONGEST_URL_TTL_MS = 5 * DAY_MS

/** A sentence about what is missing or contradictory, or null. Without USE_S3_MEDIA nothing has to be right. */
export function whatIsHalfS3(env: S3Env): string | null {
  if (!env.USE_S3_MEDIA) return null
  if (env.AWS_STORAGE_BUCKET_NAME === undefined) {
    return 'USE_S3_MEDIA is True, but AWS_STORAGE_BUCKET_NAME is missing: set it.'
  }
  if (env.AWS_S3_REGION_NAME === undefined && env.AWS_S3_ENDPOINT_URL === undefined) {
    return 'USE_S3_MEDIA is True, but AWS_S3_REGION_NAME is missing: set it, or AWS_S3_ENDPOINT_URL if the bucket is not at AWS.'
  }
  if ((env.AWS_ACCESS_KEY_ID === undefined) !== (env.AWS_SECRET_ACCESS_KEY === undefined)) {
    return 'Of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY only one is set: set both, or none to use what the machine has.'
  }
  const { AWS_S3_ENDPOINT_URL: endpoint, AWS_S3_ADDRESSING_STYLE: style } = env
  if (style === 'virtual' && endpoint !== undefined && isIP(hostOf(endpoint)) !== 0) {
    return 'AWS_S3_ADDRESSING_STYLE is virtual, but the host of AWS_S3_ENDPOINT_URL is an IP address, which cannot have the bucket before it: name a host, or write path.'
  }
  const isSigned = env.AWS_S3_QUERYSTRING_AUTH ?? true
  if (isSigned && (env.MEDIA_URL_TTL ?? 0) > LONGEST_URL_TTL_MS) {
    return 'MEDIA_URL_TTL is more than S3 can sign for: write at most 432000 (5 days).'
  }
  return null
}

/** Without the brackets of IPv6. */
function hostOf(url: string | URL): string {
  return new URL(url).hostname.replace(/^\[(.*)\]$/, '$1')
}

/** Null: off. */
export function s3Settings(env: S3Env): S3Settings | null {
  const { AWS_STORAGE_BUCKET_NAME: bucket, AWS_S3_ENDPOINT_URL: url } = env
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = env
  if (!env.USE_S3_MEDIA || bucket === undefined) return null
  const style = env.AWS_S3_ADDRESSING_STYLE ?? (url === undefined ? 'virtual' : 'path')
  // No certificate covers a name with dots, and no host has capitals or underscores.
  const canBeHost = /^[a-z0-9-]+$/.test(bucket)
  return {
    bucket,
    region: env.AWS_S3_REGION_NAME ?? 'us-east-1',
    endpoint: url ?? null,
    isPathStyle: style === 'path' || !canBeHost,
    credentials: accessKeyId && secretAccessKey ? { accessKeyId, secretAccessKey } : null,
    prefix: env.AWS_LOCATION ?? '',
    signsUrls: env.AWS_S3_QUERYSTRING_AUTH ?? true,
    cacheBytes: env.S3_CACHE_BYTES ?? 20_000_000_000,
    silenceMs: env.S3_TIMEOUT ?? 20_000,
  }
}

/** The bucket that is named although it is not in use, as one that was, or will be. Null: none, or not all of it. */
export function unusedS3Settings(env: S3Env): S3Settings | null {
  if (env.USE_S3_MEDIA) return null
  // Nothing is played from it, so how long URLs live does not matter.
  const { MEDIA_URL_TTL: _, ...rest } = env
  const used = { ...rest, USE_S3_MEDIA: true }
  return whatIsHalfS3(used) === null ? s3Settings(used) : null
}
