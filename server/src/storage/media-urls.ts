import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Keys } from '../config/keys.ts'
import { assertKey } from '../ports/object-store/object-store.ts'

/** Makes URLs that carry their own authority: whoever has one may fetch that object until it expires. */
export interface MediaUrls {
  /** Absolute. Good for at least `max(MEDIA_URL_TTL, 2 × duration + 30 min)`, so that a film can be paused. */
  urlOf(key: string, durationMs: number, now: Date): string
  /** The key that a raw request target grants, or null. Only the exact spelling that we made is accepted. */
  keyGrantedBy(rawTarget: string, now: Date): string | null
}

const TARGET = /^([A-Za-z0-9._/-]+)\?expires=([1-9]\d{0,11})&signature=([A-Za-z0-9_-]{43})$/
const HALF_HOUR_MS = 30 * 60_000

export function createMediaUrls(needs: {
  keys: Keys
  backendOrigin: string
  /** `/media/` */
  urlPath: string
  ttlMs: number
}): MediaUrls {
  const { keys, backendOrigin, urlPath, ttlMs } = needs

  /** Rounded up to a quarter of the lifetime, so that URLs repeat and caches can work. */
  function expiryOf(durationMs: number, now: Date): number {
    const lifetimeMs = durationMs === 0 ? ttlMs : Math.max(ttlMs, 2 * durationMs + HALF_HOUR_MS)
    const stepS = Math.max(1, Math.floor(lifetimeMs / 4000))
    return Math.ceil((now.getTime() + lifetimeMs) / 1000 / stepS) * stepS
  }

  return {
    urlOf(key, durationMs, now) {
      assertKey(key)
      const expires = expiryOf(durationMs, now)
      const signature = sign(keys.signing('media-url'), key, expires)
      return `${backendOrigin}${urlPath}${key}?expires=${expires}&signature=${signature}`
    },

    keyGrantedBy(rawTarget, now) {
      if (!rawTarget.startsWith(urlPath)) return null
      const [, key = '', expires = '', signature = ''] =
        TARGET.exec(rawTarget.slice(urlPath.length)) ?? []
      if (signature === '' || Number(expires) * 1000 <= now.getTime()) return null
      const isOurs = keys
        .verifying('media-url')
        .some((each) => isSame(sign(each, key, Number(expires)), signature))
      return isOurs ? key : null
    },
  }
}

function sign(secret: Buffer, key: string, expires: number): string {
  return createHmac('sha256', secret).update(`${key}\n${expires}`).digest('base64url')
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}
