import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { isLoopback } from './client.ts'

/** Whether a request may read what is for those who run this program. */
export type MayMonitor = (request: IncomingMessage) => boolean

/** Whoever has the token, if there is one, and programs on this machine. */
export function monitorAccess(token: string | null): MayMonitor {
  const expected = token === null ? null : digest(token)
  return (request) => {
    const given = /^bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
    if (expected !== null && given !== undefined && timingSafeEqual(digest(given), expected)) {
      return true
    }
    // nginx that was told nothing else says not for whom it asks, but speaks an HTTP that no scraper does.
    return request.httpVersion !== '1.0' && isLoopback(request)
  }
}

/** Of one length, so that comparing takes one time. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
