import { createHmac } from 'node:crypto'

/** JSON Web Tokens (RFC 7515, RFC 7519) made by hand, the wrong ones above all. */

export type Part = Record<string, unknown> | string | Buffer

export function encoded(part: Part): string {
  const bytes = typeof part === 'string' || Buffer.isBuffer(part) ? part : JSON.stringify(part)
  return Buffer.from(bytes as string).toString('base64url')
}

export function macOf(text: string, key: Buffer | string, hash = 'sha256'): string {
  return createHmac(hash, key).update(text).digest('base64url')
}

/** Signed by HMAC, whatever the header claims. */
export function signed(header: Part, payload: Part, key: Buffer | string, hash?: string): string {
  const body = `${encoded(header)}.${encoded(payload)}`
  return `${body}.${macOf(body, key, hash)}`
}
