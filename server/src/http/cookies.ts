import type { FastifyReply } from 'fastify'
import type { Settings } from '../config/settings.ts'
import type { SessionTokens } from '../sessions/sessions.ts'

export type CookieNames = Pick<Settings['cookies'], 'accessName' | 'refreshName'>

/** Sets both cookies of a session, each to live as long as its token. */
export function setSessionCookies(
  reply: FastifyReply,
  settings: Settings['cookies'],
  tokens: SessionTokens,
  now: Date,
): void {
  const options = attributesOf(settings)
  const seconds = (until: Date): number =>
    Math.max(1, Math.round((until.getTime() - now.getTime()) / 1000))
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
