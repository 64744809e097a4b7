import fc from 'fast-check'
import { expect, test } from 'vitest'
import { deriveKeys } from '../config/keys.ts'
import { createMediaUrls, type MediaUrls } from './media-urls.ts'
import { createSignedUrls } from './signed-urls.ts'

const NOW = new Date('2026-06-19T12:00:00Z')
const KEY = 'videos/7/9-1-1/720p.mp4'
const MINUTE = 60_000
const HOUR = 60 * MINUTE

function urlsSignedWith(secret: string, fallbacks: string[] = []): MediaUrls {
  const signed = createSignedUrls({
    keys: deriveKeys(secret, fallbacks),
    purpose: 'media-url',
    backendOrigin: 'https://films.example.com',
    urlPath: '/media/',
  })
  return createMediaUrls({ signed, ttlMs: HOUR })
}

const urls = urlsSignedWith('one secret')
const targetOf = (url: string): string => url.slice('https://films.example.com'.length)
const later = (ms: number): Date => new Date(NOW.getTime() + ms)

/** How long after NOW it is still good. */
function lifeOf(url: string): number {
  return Number(/expires=(\d+)/.exec(url)?.[1]) * 1000 - NOW.getTime()
}

test('a URL grants its key, from now until it expires', () => {
  const url = urls.urlOf(KEY, 0, NOW)
  expect(url).toMatch(
    /^https:\/\/films\.example\.com\/media\/videos\/7\/9-1-1\/720p\.mp4\?expires=\d+&signature=[\w-]{43}$/,
  )
  expect(urls.keyGrantedBy(targetOf(url), NOW)).toBe(KEY)
  expect(urls.keyGrantedBy(targetOf(url), later(lifeOf(url) - 1))).toBe(KEY)
  expect(urls.keyGrantedBy(targetOf(url), later(lifeOf(url)))).toBeNull()
})

test.each([
  [0, HOUR],
  [MINUTE, HOUR],
  [2 * HOUR, 4.5 * HOUR],
])('a film of %i ms can be watched with pauses', (durationMs, leastMs) => {
  const lifeMs = lifeOf(urls.urlOf(KEY, durationMs, NOW))
  expect(lifeMs).toBeGreaterThanOrEqual(leastMs)
  expect(lifeMs).toBeLessThanOrEqual(1.25 * leastMs)
})

test('no film is so long that S3 could not sign for it', () => {
  const urls = urlsSignedWith('a secret')
  expect(lifeOf(urls.urlOf(KEY, 365 * 24 * HOUR, NOW))).toBeLessThan(7 * 24 * HOUR)
})

test('URLs repeat for a while', () => {
  const all = Array.from({ length: 60 }, (_, minute) => urls.urlOf(KEY, 0, later(minute * MINUTE)))
  expect(new Set(all).size).toBeLessThanOrEqual(5)
  for (const [minute, url] of all.entries()) {
    expect(urls.keyGrantedBy(targetOf(url), later(minute * MINUTE + HOUR - 1))).toBe(KEY)
  }
})

test('a signature holds for one key, one expiry and one secret', () => {
  const target = targetOf(urls.urlOf(KEY, 0, NOW))
  expect(urlsSignedWith('another').keyGrantedBy(target, NOW)).toBeNull()
  expect(urls.keyGrantedBy(target.replace('720p', '360p'), NOW)).toBeNull()
  expect(urls.keyGrantedBy(target.replace(/expires=\d/, 'expires=9'), NOW)).toBeNull()
})

test('a secret that was replaced still verifies, and does not sign', () => {
  const before = targetOf(urls.urlOf(KEY, 0, NOW))
  const rotated = urlsSignedWith('new secret', ['one secret'])
  expect(rotated.keyGrantedBy(before, NOW)).toBe(KEY)
  const after = targetOf(rotated.urlOf(KEY, 0, NOW))
  expect(urls.keyGrantedBy(after, NOW)).toBeNull()
})

test('no change of a character is forgiven', () => {
  const target = targetOf(urls.urlOf(KEY, 0, NOW))
  const change = fc.tuple(fc.nat(target.length - 1), fc.string({ maxLength: 2 }))
  fc.assert(
    fc.property(change, ([at, text]) => {
      const changed = target.slice(0, at) + text + target.slice(at + 1)
      fc.pre(changed !== target)
      expect(urls.keyGrantedBy(changed, NOW)).toBeNull()
    }),
    { numRuns: 2000 },
  )
})

test('what is no key gets no URL', () => {
  for (const key of ['../x', '/x', 'a//b', 'a b', 'ä', '', 'a/.hidden']) {
    expect(() => urls.urlOf(key, 0, NOW)).toThrow('not an object key')
  }
})

test('a signature of one purpose is nothing to another', () => {
  const keys = deriveKeys('one secret', [])
  const of = { keys, backendOrigin: 'https://films.example.com', urlPath: '/media/' }
  const media = createSignedUrls({ ...of, purpose: 'media-url' })
  const playlists = createSignedUrls({ ...of, purpose: 'playlist-url' })
  const target = targetOf(playlists.urlUntil(KEY, NOW.getTime() / 1000 + 60))
  expect(playlists.grantedBy(target, NOW)).toEqual({
    path: KEY,
    expires: NOW.getTime() / 1000 + 60,
  })
  expect(media.grantedBy(target, NOW)).toBeNull()
})
