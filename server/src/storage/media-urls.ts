import { expiryOf, type SignedUrls } from './signed-urls.ts'

/** Makes URLs that carry their own authority: whoever has one may fetch that object until it expires. */
export interface MediaUrls {
  /** Absolute. Good for at least `max(MEDIA_URL_TTL, 2 × duration + 30 min)`, so that a film can be paused. */
  urlOf(key: string, durationMs: number, now: Date): string
  /** The key that a raw request target grants, or null. Only the exact spelling that we made is accepted. */
  keyGrantedBy(rawTarget: string, now: Date): string | null
}

export function createMediaUrls(needs: { signed: SignedUrls; ttlMs: number }): MediaUrls {
  const { signed, ttlMs } = needs
  return {
    urlOf: (key, durationMs, now) => signed.urlUntil(key, expiryOf(ttlMs, durationMs, now)),
    keyGrantedBy: (rawTarget, now) => signed.grantedBy(rawTarget, now)?.path ?? null,
  }
}
