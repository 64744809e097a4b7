import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import type { KeyPurpose, Keys } from './keys.ts'

/** NIST SP 800-38D §5.2.1.1: 96 bits, random, fresh for each text. */
const NONCE_BYTES = 12
const TAG_BYTES = 16

/**
 * What only this server can read: AES-256-GCM under the key of a purpose, base64url. It opens only with the `context`
 * it was sealed with (such as whose it is), so that it cannot be moved to another place.
 */
export function sealText(keys: Keys, purpose: KeyPurpose, context: string, text: string): string {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', keys.signing(purpose), nonce)
  cipher.setAAD(Buffer.from(context))
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  return Buffer.concat([nonce, sealed, cipher.getAuthTag()]).toString('base64url')
}

/** Null when it was not sealed here, for this purpose and context. `isOutdated`: under a key of SECRET_KEY_FALLBACKS. */
export function openSealedText(
  keys: Keys,
  purpose: KeyPurpose,
  context: string,
  sealed: string,
): { text: string; isOutdated: boolean } | null {
  const bytes = Buffer.from(sealed, 'base64url')
  if (bytes.length < NONCE_BYTES + TAG_BYTES) return null
  for (const [at, key] of keys.verifying(purpose).entries()) {
    const text = openWith(key, context, bytes)
    if (text !== null) return { text, isOutdated: at > 0 }
  }
  return null
}

function openWith(key: Buffer, context: string, bytes: Buffer): string | null {
  const nonce = bytes.subarray(0, NONCE_BYTES)
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(Buffer.from(context))
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
  try {
    const text = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES))
    return Buffer.concat([text, decipher.final()]).toString('utf8')
  } catch {
    return null
  }
}
