import { credentials, fieldErrors, namedError, profile } from '@videoflix/contract'
import { z } from 'zod'
import { findUserByEmail, markLogin } from '../accounts/users.ts'
import type { Passwords } from '../accounts/passwords.ts'
import type { Audit } from '../audit/audit.ts'
import type { Settings } from '../config/settings.ts'
import type { Database } from '../db/database.ts'
import { AppError, invalid } from '../errors.ts'
import { listFavorites } from '../favorites/favorites.ts'
import { clientOf } from '../http/client.ts'
import { clearSessionCookies, setSessionCookies } from '../http/cookies.ts'
import type { Server } from '../http/server.ts'
import type { Clock } from '../ports/clock.ts'
import type { Sessions } from './sessions.ts'

export function sessionRoutes(
  server: Server,
  needs: {
    db: Database
    clock: Clock
    audit: Audit
    passwords: Passwords
    sessions: Sessions
    cookies: Settings['cookies']
    loginRate: Settings['rateLimits']['login']
  },
): void {
  const { db, clock, audit, passwords, sessions, cookies, loginRate } = needs

  server.post(
    '/users/login/',
    {
      config: {
        access: 'public',
        rateLimit: { max: loginRate.count, timeWindow: loginRate.windowMs },
      },
      schema: {
        tags: ['Sessions'],
        summary: 'Sign in',
        description: 'Sets the access and the refresh cookie.',
        body: credentials,
        response: { 200: profile, 400: fieldErrors },
      },
    },
    async (request, reply) => {
      const { email, password, remember } = request.body
      const client = clientOf(request)
      const user = await findUserByEmail(db, email)
      const isRight = await passwords.verify(user?.password_hash ?? null, password)
      if (!user || !isRight || !user.is_active) {
        await audit.record('login_failed', { userId: user?.id ?? null, address: client.address })
        throw invalid({ non_field_errors: ['Invalid credentials or inactive user.'] })
      }
      const tokens = await sessions.start(user, { isRemembered: remember ?? false, client })
      await markLogin(db, user.id, clock.now())
      await audit.record('login', { userId: user.id, address: client.address })
      setSessionCookies(reply, cookies, tokens, clock.now())
      return {
        id: user.id,
        username: user.email,
        email: user.email,
        phone: user.phone,
        address: user.address,
        favorite_videos: await listFavorites(db, user.id),
      }
    },
  )

  server.post(
    '/users/refresh/',
    {
      config: { access: 'public', errorShape: 'error' },
      schema: {
        tags: ['Sessions'],
        summary: 'Renew the access token',
        description: 'Reads the refresh cookie; the body is ignored.',
        response: { 200: z.object({ detail: z.string() }), 401: namedError },
      },
    },
    async (request, reply) => {
      const refreshToken = request.cookies[cookies.refreshName]
      if (!refreshToken) throw new AppError('unauthenticated', 'Missing refresh cookie.')
      const tokens = await sessions.refresh(refreshToken, clientOf(request))
      if (!tokens) throw new AppError('unauthenticated', 'Invalid refresh token.')
      setSessionCookies(reply, cookies, tokens, clock.now())
      return { detail: 'Access token refreshed.' }
    },
  )

  server.post(
    '/users/logout/',
    {
      config: { access: 'public' },
      schema: {
        tags: ['Sessions'],
        summary: 'Sign out',
        description: 'Works with either cookie or none.',
        response: { 200: z.object({ message: z.string() }) },
      },
    },
    async (request, reply) => {
      const ended = await sessions.end({
        accessToken: request.cookies[cookies.accessName],
        refreshToken: request.cookies[cookies.refreshName],
      })
      if (ended) await audit.record('logout', { userId: ended.userId, address: request.ip })
      clearSessionCookies(reply, cookies)
      return { message: 'Successfully logged out.' }
    },
  )
}
