import {
  detailError,
  emailChange,
  fieldErrors,
  ownAccount,
  ownChanges,
  passwordChange,
  passwordProof,
} from '@videoflix/contract'
import { z } from 'zod'
import type { Rate } from '../config/env-values.ts'
import type { Settings } from '../config/settings.ts'
import { viewerOf } from '../http/authentication.ts'
import { clearSessionCookies, setSessionCookies } from '../http/cookies.ts'
import type { Server } from '../http/server.ts'
import type { EmailChange } from './email-change.ts'
import type { OwnAccount } from './own-account.ts'

export function ownAccountRoutes(
  server: Server,
  needs: {
    ownAccount: OwnAccount
    emailChange: EmailChange
    cookies: Settings['cookies']
    loginRate: Rate
    mailRate: Rate
  },
): void {
  const account = needs.ownAccount
  const config = { access: 'viewer' } as const
  const limited = (rate: Rate) => ({
    ...config,
    rateLimit: { max: rate.count, timeWindow: rate.windowMs },
  })
  /** These take a password: no faster than signing in. */
  const asLogin = limited(needs.loginRate)
  const tags = ['Accounts']

  server.get(
    '/users/me/',
    { config, schema: { tags, summary: 'Your account', response: { 200: ownAccount } } },
    async (request) => await account.get(viewerOf(request).userId),
  )

  server.patch(
    '/users/me/',
    {
      config,
      schema: {
        tags,
        summary: 'Change phone number or postal address',
        description: 'Other fields are ignored.',
        body: ownChanges,
        response: { 200: ownAccount, 400: fieldErrors },
      },
    },
    async (request) => await account.edit(viewerOf(request).userId, request.body),
  )

  server.delete(
    '/users/me/',
    {
      config: asLogin,
      schema: {
        tags,
        summary: 'Delete your account with everything that is yours',
        body: passwordProof,
        response: { 204: z.null(), 400: fieldErrors, 409: detailError, 429: detailError },
      },
    },
    async (request, reply) => {
      await account.delete(viewerOf(request).userId, request.body.password, request.ip)
      clearSessionCookies(reply, needs.cookies)
      return await reply.code(204).send(null)
    },
  )

  server.post(
    '/users/me/password/',
    {
      config: asLogin,
      schema: {
        tags,
        summary: 'Change your password',
        description: 'Ends all your other sessions; this one goes on with new cookies.',
        body: passwordChange,
        response: {
          200: z.object({ message: z.string() }),
          400: fieldErrors,
          429: detailError,
        },
      },
    },
    async (request, reply) => {
      const tokens = await account.changePassword(viewerOf(request), request.body, request.ip)
      setSessionCookies(reply, needs.cookies, tokens)
      return { message: 'Password has been changed successfully.' }
    },
  )

  server.post(
    '/users/me/email/',
    {
      config: limited(needs.mailRate),
      schema: {
        tags,
        summary: 'Change your email address',
        description:
          'Nothing changes until the link that is sent to the new address is opened. The reply is the same whether or not that address has an account.',
        body: emailChange,
        response: {
          200: z.object({ message: z.string() }),
          400: fieldErrors,
          429: detailError,
        },
      },
    },
    async (request) => {
      await needs.emailChange.request(viewerOf(request).userId, request.body, request.ip)
      return { message: 'A confirmation link has been sent to the new address.' }
    },
  )
}
