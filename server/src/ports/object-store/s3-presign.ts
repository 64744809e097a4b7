import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto'
import type { S3Settings } from '../../config/s3-settings.ts'
import { keptUrls } from './kept-urls.ts'

export interface S3Credentials {
  accessKeyId: string
  secretAccessKey: string
  /** Of temporary credentials. */
  sessionToken?: string
}

/** URLs of objects in one bucket. Keys are whole: with every prefix. */
export interface S3Urls {
  /** Without a signature: for what anybody may read. */
  plain(key: string): string
  /**
   * Good for one method on one key until `expires`, in seconds since 1970 and at most seven days from now. The same
   * arguments give the same URL, as long as the credentials are the same.
   */
  signed(
    method: 'GET' | 'PUT',
    key: string,
    expires: number,
    query: Readonly<Record<string, string>>,
  ): string
}

/** The longest life of a signature, in seconds; its key is good for no longer. */
const LIFE = 7 * 86_400
const ALGORITHM = 'AWS4-HMAC-SHA256'
const KEPT_SIGNING_KEYS = 32

/**
 * Signature Version 4 in the query (AWS, “Authenticating Requests: Using Query Parameters”), character for character what
 * the SDK's presigner makes, in a hundredth of its time. Every signature is dated seven days before it ends: so the URL
 * depends on its end alone, and not on when it was made.
 */
export function createS3Urls(needs: {
  settings: S3Settings
  credentials: () => S3Credentials
}): S3Urls {
  const { settings, credentials } = needs
  const { base, host, path } = addressOf(settings)
  // Not as bytes, of which OpenSSL would make a key anew for each signature: eight times the time of signing.
  const signingKeys = new Map<string, KeyObject>()

  function signingKey(secret: string, date: string): KeyObject {
    const name = `${date} ${secret}`
    const known = signingKeys.get(name)
    if (known) return known
    if (signingKeys.size >= KEPT_SIGNING_KEYS) signingKeys.clear()
    const parts = [date, settings.region, 's3', 'aws4_request']
    const key = createSecretKey(parts.reduce<Buffer>(hmac, Buffer.from(`AWS4${secret}`)))
    signingKeys.set(name, key)
    return key
  }

  const kept = keptUrls()

  function make(
    { accessKeyId, secretAccessKey, sessionToken }: S3Credentials,
    ...[method, key, expires, query]: Parameters<S3Urls['signed']>
  ): string {
    const instant = basicFormat(expires - LIFE)
    const date = instant.slice(0, 8)
    const scope = `${date}/${settings.region}/s3/aws4_request`
    const before =
      `X-Amz-Algorithm=${ALGORITHM}&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD` +
      `&X-Amz-Credential=${encode(`${accessKeyId}/${scope}`)}&X-Amz-Date=${instant}&X-Amz-Expires=${LIFE}` +
      (sessionToken === undefined ? '' : `&X-Amz-Security-Token=${encode(sessionToken)}`)
    const after = `X-Amz-SignedHeaders=host${sorted(query)}`
    const request = `${method}\n${path}/${key}\n${before}&${after}\nhost:${host}\n\nhost\nUNSIGNED-PAYLOAD`
    const signature = hmac(
      signingKey(secretAccessKey, date),
      `${ALGORITHM}\n${instant}\n${scope}\n${hash('sha256', request)}`,
    ).toString('hex')
    return `${base}/${key}?${before}&X-Amz-Signature=${signature}&${after}`
  }

  return {
    plain: (key) => `${base}/${key}`,

    signed(...request) {
      const current = credentials()
      // Temporary credentials have an id of their own each time.
      return kept(JSON.stringify([current.accessKeyId, ...request]), () =>
        make(current, ...request),
      )
    },
  }
}

/** Where objects are: `base` is the URL of the bucket, `host` and `path` what of it is signed. */
export function addressOf(settings: S3Settings): { base: string; host: string; path: string } {
  const { bucket, region, endpoint, isPathStyle } = settings
  const suffix = region.startsWith('cn-') ? '.cn' : ''
  const url = new URL(endpoint ?? `https://s3.${region}.amazonaws.com${suffix}`)
  const host = isPathStyle ? url.host : `${bucket}.${url.host}`
  const path = `${url.pathname.replace(/\/$/, '')}${isPathStyle ? `/${bucket}` : ''}`
  return { base: `${url.protocol}//${host}${path}`, host, path }
}

/** `20260619T120000Z` */
function basicFormat(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replaceAll(/[-:]|\.\d+/g, '')
}

/** Lower-case names come after those of the signature. */
function sorted(query: Readonly<Record<string, string>>): string {
  const names = Object.keys(query).sort()
  return names.map((name) => `&${encode(name)}=${encode(query[name] ?? '')}`).join('')
}

/** RFC 3986: everything but letters, digits and `-._~`. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function hmac(key: Buffer | KeyObject, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
