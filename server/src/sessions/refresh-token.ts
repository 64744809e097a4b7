import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Keys } from '../config/keys.ts'

/**
 * `<session id>.<counter>.<HMAC-SHA256>`. The key of the HMAC needs both the session's own key (in the database) and one
 * of the server, so that neither a dump nor another session's token gives a live one; and as the token is a function of
 * the row, the current one can be handed out again to whoever lost the reply.
 */
export interface RefreshToken {
  sessionId: string
  counter: number
}

const FORM = /^([A-Za-z0-9_-]{22})\.(0|[1-9]\d{0,8})\.([A-Za-z0-9_-]{43})$/

export function writeRefreshToken(keys: Keys, sessionKey: string, token: RefreshToken): string {
  const body = `${token.sessionId}.${token.counter}`
  return `${body}.${mac(keys.signing('refresh'), sessionKey, body)}`
}

/** What the text claims to be, unproven. */
export function parseRefreshToken(text: string): RefreshToken | null {
  const match = FORM.exec(text)
  return match && { sessionId: String(match[1]), counter: Number(match[2]) }
}

export function isRefreshTokenOf(keys: Keys, sessionKey: string, text: string): boolean {
  const at = text.lastIndexOf('.')
  const given = Buffer.from(text.slice(at + 1))
  return keys.verifying('refresh').some((key) => {
    const right = Buffer.from(mac(key, sessionKey, text.slice(0, at)))
    return right.length === given.length && timingSafeEqual(right, given)
  })
}

function mac(serverKey: Buffer, sessionKey: string, body: string): string {
  const key = createHmac('sha256', serverKey).update(sessionKey).digest()
  return createHmac('sha256', key).update(body).digest('base64url')
}
