import { credentials, fieldErrors, namedError, otpRefusal, profile } from '@videoflix/contract'
import { z } from 'zod'
import { findUserByEmail, markLogin, upgradePassword } from '../accounts/users.ts'
import type { Passwords } from '../accounts/passwords.ts'
import type { Audit } from '../audit/audit.ts'
import type { Settings } from '../config/settings.ts'
import type { Database } from '../db/database.ts'
import { AppError, invalid } from '../errors.ts'
import { listFavorites } from '../favorites/favorites.ts'
import { accessTokenOf } from '../http/authentication.ts'
import { clientOf } from '../http/client.ts'
import { clearSessionCookies, readCookie, setSessionCookies } from '../http/cookies.ts'
import type { Server } from '../http/server.ts'
import type { Clock } from '../ports/clock.ts'
import type { SecondFactor } from '../two-factor/two-factor.ts'
import type { LoginThrottle } from './login-throttle.ts'
import type { Sessions } from './sessions.ts'

export function sessionRoutes(
  server: Server,
  needs: {
    db: Database
    clock: Clock
    audit: Audit
    passwords: Passwords
    sessions: Sessions
    secondFactor: SecondFactor
    throttle: LoginThrottle
    cookies: Settings['cookies']
    loginRate: Settings['rateLimits']['login']
  },
): void {
  const { db, clock, audit, passwords, sessions, secondFactor, throttle, cookies, loginRate } =
    needs

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
        description:
          'Sets the access and the refresh cookie. `otp` is a one-time or recovery code, for accounts that ask for one.',
        body: credentials,
        response: { 200: profile, 400: fieldErrors, 401: otpRefusal },
      },
    },
    async (request, reply) => {
      const { email, password, remember, otp } = request.body
      const client = clientOf(request)
      passwords.assertRoom()
      const user = await findUserByEmail(db, email)
      const { address } = client
      const counted = await throttle.admit({ email, userId: user?.id ?? null, address })
      const isRight = await passwords.verify(user?.password_hash ?? null, password)
      if (!user || !isRight || !user.is_active) {
        await throttle.failed(counted)
        await audit.record('login_failed', { userId: user?.id ?? null, address })
        throw invalid({ non_field_errors: ['Invalid credentials or inactive user.'] })
      }
      if (passwords.isOutdated(user.password_hash)) {
        const hash = { old: user.password_hash, new: await passwords.hash(password) }
        await upgradePassword(db, user.id, hash)
      }
      // After the password: who does not know it learns nothing about the second factor.
      const refusal = await secondFactor.refusal(user, otp || null, client)
      if (refusal) return await reply.code(401).send(refusal)
      await throttle.succeeded(counted)
      const tokens = await sessions.start(user, { isRemembered: remember ?? false, client })
      await markLogin(db, user.id, clock.now())
      await audit.record('login', { userId: user.id, address })
      setSessionCookies(reply, cookies, tokens)
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
      config: { access: 'public', errorShape: 'error', ignoresBody: true },
      schema: {
        tags: ['Sessions'],
        summary: 'Renew the access token',
        description: 'Reads the refresh cookie; the body is ignored.',
        response: { 200: z.object({ detail: z.string() }), 401: namedError },
      },
    },
    async (request, reply) => {
      const refreshToken = readCookie(request, cookies.refreshName)
      if (refreshToken === null) throw new AppError('unauthenticated', 'Missing refresh cookie.')
      const tokens = await sessions.refresh(refreshToken, clientOf(request))
      if (!tokens) throw new AppError('unauthenticated', 'Invalid refresh token.')
      setSessionCookies(reply, cookies, tokens)
      return { detail: 'Access token refreshed.' }
    },
  )

  server.post(
    '/users/logout/',
    {
      config: { access: 'public', ignoresBody: true },
      schema: {
        tags: ['Sessions'],
        summary: 'Sign out',
        description: 'Works with either cookie or none.',
        response: { 200: z.object({ message: z.string() }) },
      },
    },
    async (request, reply) => {
      const ended = await sessions.end({
        accessToken: accessTokenOf(request, cookies),
        refreshToken: readCookie(request, cookies.refreshName),
      })
      for (const { userId } of ended) await audit.record('logout', { userId, address: request.ip })
      clearSessionCookies(reply, cookies)
      return { message: 'Successfully logged out.' }
    },
  )
}
