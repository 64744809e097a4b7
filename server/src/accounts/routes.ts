import {
  email,
  fieldErrors,
  namedError,
  PASSWORD_MAX,
  registration,
  secretText,
} from '@videoflix/contract'
import { z } from 'zod'
import type { Rate } from '../config/env-values.ts'
import type { Settings } from '../config/settings.ts'
import { AppError } from '../errors.ts'
import { clientOf, isLoopback } from '../http/client.ts'
import { sendPage } from '../http/page.ts'
import type { Server } from '../http/server.ts'
import type { Accounts } from './accounts.ts'
import type { AccountLinks } from './account-links.ts'
import { linkQuery, readLink } from './link-query.ts'
import { confirmationFailedPage } from './pages.ts'

export function accountRoutes(
  server: Server,
  needs: {
    accounts: Accounts
    links: AccountLinks
    frontendUrl: string
    isDebug: boolean
    rateLimits: Settings['rateLimits']
  },
): void {
  const { accounts, links, rateLimits } = needs
  const limited = (rate: Rate) => ({
    access: 'public' as const,
    rateLimit: { max: rate.count, timeWindow: rate.windowMs },
  })

  server.post(
    '/users/register/',
    {
      config: limited(rateLimits.register),
      schema: {
        tags: ['Accounts'],
        summary: 'Sign up',
        description: 'The account is inactive until the link in the mail is opened.',
        body: registration,
        response: { 201: z.looseObject({ email: z.string() }), 400: fieldErrors },
      },
    },
    async (request, reply) => {
      const user = await accounts.register(request.body, request.ip)
      reply.code(201)
      if (!needs.isDebug || !isLoopback(request)) return { email: user.email }
      const token = await accounts.debugLink('confirm', user)
      const link = {
        uid: links.uidOf(user.id),
        token,
        confirmation_url: links.confirm(user.id, token),
      }
      return { email: user.email, debug: link }
    },
  )

  server.get(
    '/users/email-exists/',
    {
      config: limited(rateLimits.emailExists),
      schema: {
        tags: ['Accounts'],
        summary: 'Whether an address has an account',
        querystring: z.object({ email: email() }),
        response: { 200: z.object({ exists: z.boolean() }), 400: fieldErrors },
      },
    },
    async (request) => ({ exists: await accounts.emailExists(request.query.email) }),
  )

  server.get(
    '/users/confirm/',
    {
      exposeHeadRoute: false,
      config: { access: 'public', errorShape: 'error' },
      schema: {
        tags: ['Accounts'],
        summary: 'Open a confirmation link',
        querystring: linkQuery,
        response: { 302: z.null(), 400: z.union([namedError, z.string()]) },
      },
    },
    async (request, reply) => {
      try {
        const { userId, token } = readLink(request.query, links)
        await accounts.confirm(userId, token, request.ip)
      } catch (error) {
        const isPage = request.headers.accept?.includes('text/html') ?? false
        if (!isPage || !(error instanceof AppError) || error.code !== 'invalid') throw error
        return sendPage(reply.code(400), confirmationFailedPage(needs.frontendUrl))
      }
      return reply.redirect(needs.frontendUrl, 302)
    },
  )
  // Mail scanners look before people click: a look changes nothing.
  server.head(
    '/users/confirm/',
    { config: { access: 'public' }, schema: { hide: true } },
    (_request, reply) => reply.code(200).send(),
  )

  server.post(
    '/users/forgot-password/',
    {
      config: { ...limited(rateLimits.forgot), errorShape: 'error' },
      schema: {
        tags: ['Accounts'],
        summary: 'Ask for a reset link by mail',
        description: 'The reply is the same whether or not there is such an account.',
        body: z.looseObject({ email: z.unknown().optional().meta({ type: 'string' }) }),
        response: { 200: z.looseObject({ message: z.string() }), 400: namedError },
      },
    },
    async (request) => {
      const given = request.body.email
      if (typeof given !== 'string' || given.trim() === '') {
        throw new AppError('invalid', 'Email is required.')
      }
      const message = 'If this email exists, a reset link has been sent.'
      const address = email().safeParse(given)
      const user = address.success ? await accounts.requestReset(address.data) : null
      if (!user || !needs.isDebug || !isLoopback(request)) return { message }
      const token = await accounts.debugLink('reset', user)
      return {
        message,
        debug: { uid: links.uidOf(user.id), token, reset_url: links.reset(user.id, token) },
      }
    },
  )

  server.post(
    '/users/reset-password/',
    {
      config: { ...limited(rateLimits.forgot), errorShape: 'error' },
      schema: {
        tags: ['Accounts'],
        summary: 'Set a new password with a reset link',
        description:
          'Ends all sessions of the user, and signs nobody in. `password` is read for `new_password`.',
        body: z.looseObject({
          uid: z.unknown().optional().meta({ type: 'string' }),
          token: z.unknown().optional().meta({ type: 'string' }),
          new_password: z.unknown().optional().meta({ type: 'string' }),
        }),
        response: { 200: z.object({ message: z.string() }), 400: namedError },
      },
    },
    async (request) => {
      const { uid, token, new_password: newPassword, password: alias } = request.body
      const given = [uid, token, newPassword ?? alias]
      if (!given.every((value) => typeof value === 'string' && value !== '')) {
        throw new AppError('invalid', 'All fields are required.')
      }
      const [uidText = '', tokenText = '', password = ''] = given as string[]
      const userId = links.userIdOf(uidText)
      if (userId === null) throw new AppError('invalid', 'Invalid user.')
      const usable = secretText(PASSWORD_MAX).safeParse(password)
      if (!usable.success) throw new AppError('invalid', usable.error.issues[0]?.message ?? '')
      await accounts.resetPassword(
        { userId, token: tokenText, password },
        clientOf(request).address,
      )
      return { message: 'Password has been reset successfully.' }
    },
  )
}
