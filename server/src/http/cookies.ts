import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Settings } from '../config/settings.ts'
import type { SessionTokens } from '../sessions/sessions.ts'

export type CookieNames = Pick<Settings['cookies'], 'accessName' | 'refreshName'>

/** No token is equal to it. */
const CONFLICTING = 'conflicting'

/**
 * The value of a cookie, null without one. Two different ones of a name may be two people's (another site on a parent
 * domain can plant one): then neither counts, and what is returned proves nothing.
 */
export function readCookie(request: FastifyRequest, name: string): string | null {
  const values = (request.headers.cookie ?? '').split(';').flatMap((pair) => {
    const at = pair.indexOf('=')
    const value = pair.slice(at + 1).trim()
    return pair.slice(0, Math.max(0, at)).trim() === name && value !== '' ? value : []
  })
  if (new Set(values).size > 1) return CONFLICTING
  return values[0] ?? null
}

/** Sets both cookies of a session, each to live as long as its token. */
export function setSessionCookies(
  reply: FastifyReply,
  settings: Settings['cookies'],
  tokens: SessionTokens,
): void {
  const options = attributesOf(settings)
  const seconds = (until: Date): number =>
    Math.max(1, Math.round((until.getTime() - tokens.issuedAt.getTime()) / 1000))
  reply.setCookie(settings.accessName, tokens.accessToken, {
    ...options,
    maxAge: seconds(tokens.accessExpiresAt),
  })
  reply.setCookie(settings.refreshName, tokens.refreshToken, {
    ...options,
    maxAge: seconds(tokens.refreshExpiresAt),
  })
}

/** A browser drops a cookie only for the same attributes it was set with. */
export function clearSessionCookies(reply: FastifyReply, settings: Settings['cookies']): void {
  const options = attributesOf(settings)
  reply.clearCookie(settings.accessName, options)
  reply.clearCookie(settings.refreshName, options)
}

function attributesOf(settings: Settings['cookies']) {
  return {
    path: '/',
    httpOnly: true,
    secure: settings.secure,
    sameSite: settings.sameSite,
  } as const
}
