import { createHmac, createSecretKey, timingSafeEqual, type KeyObject } from 'node:crypto'
import type { KeyPurpose, Keys } from '../config/keys.ts'
import { keptUrls } from '../ports/object-store/kept-urls.ts'
import { assertKey } from '../ports/object-store/object-store.ts'

/** URLs below one path of ours that carry their own authority: what follows the path, and until when. */
export interface SignedUrls {
  /** Absolute. `path` has the form of an object key; `expires` is in whole seconds since 1970. */
  urlUntil(path: string, expires: number): string
  /** What a raw request target grants, or null. Only the exact spelling that we made is accepted. */
  grantedBy(rawTarget: string, now: Date): Grant | null
}

export interface Grant {
  path: string
  /** Seconds since 1970. */
  expires: number
}

const TARGET = /^([A-Za-z0-9._/-]+)\?expires=([1-9]\d{0,11})&signature=([A-Za-z0-9_-]{43})$/

/** Signatures of one purpose are nothing to another, whatever path they name. */
export function createSignedUrls(needs: {
  keys: Keys
  purpose: KeyPurpose
  backendOrigin: string
  /** `/media/` */
  urlPath: string
}): SignedUrls {
  const { keys, purpose, backendOrigin, urlPath } = needs
  const kept = keptUrls()

  function make(path: string, expires: number): string {
    assertKey(path)
    const signature = sign(keys.signing(purpose), path, expires)
    return `${backendOrigin}${urlPath}${path}?expires=${expires}&signature=${signature}`
  }

  return {
    urlUntil: (path, expires) => kept(`${expires} ${path}`, () => make(path, expires)),

    grantedBy(rawTarget, now) {
      if (!rawTarget.startsWith(urlPath)) return null
      const [, path = '', expiry = '', signature = ''] =
        TARGET.exec(rawTarget.slice(urlPath.length)) ?? []
      const expires = Number(expiry)
      if (signature === '' || expires * 1000 <= now.getTime()) return null
      const isOurs = keys
        .verifying(purpose)
        .some((each) => isSame(sign(each, path, expires), signature))
      return isOurs ? { path, expires } : null
    },
  }
}

const HALF_HOUR_MS = 30 * 60_000
/** With what rounding adds, less than the seven days that S3 signs for. No film takes as long. */
const LONGEST_FILM_MS = 5 * 86_400_000

/**
 * When a URL made now ends, in seconds since 1970: after `max(ttlMs, 2 × duration + 30 min)` at least, so that a film can
 * be paused. `durationMs` is 0 for what does not play. Rounded up to a quarter of that, so that URLs repeat and caches
 * can work.
 */
export function expiryOf(ttlMs: number, durationMs: number, now: Date): number {
  const watchingMs = Math.min(2 * durationMs + HALF_HOUR_MS, LONGEST_FILM_MS)
  const lifetimeMs = durationMs === 0 ? ttlMs : Math.max(ttlMs, watchingMs)
  const stepS = Math.max(1, Math.floor(lifetimeMs / 4000))
  return Math.ceil((now.getTime() + lifetimeMs) / 1000 / stepS) * stepS
}

/** From bytes, OpenSSL makes the key anew for each signature, which takes eight times as long as signing. */
const keyObjects = new WeakMap<Buffer, KeyObject>()

function keyObjectOf(secret: Buffer): KeyObject {
  const known = keyObjects.get(secret)
  if (known) return known
  const made = createSecretKey(secret)
  keyObjects.set(secret, made)
  return made
}

function sign(secret: Buffer, path: string, expires: number): string {
  return createHmac('sha256', keyObjectOf(secret)).update(`${path}\n${expires}`).digest('base64url')
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}
