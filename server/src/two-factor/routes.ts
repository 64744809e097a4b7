import {
  codeProof,
  detailError,
  fieldErrors,
  fullProof,
  passwordProof,
  recoveryCodes,
  totpEnrolment,
  twoFactorStatus,
} from '@videoflix/contract'
import { z } from 'zod'
import type { Rate } from '../config/env-values.ts'
import { AppError } from '../errors.ts'
import { viewerOf } from '../http/authentication.ts'
import type { Server } from '../http/server.ts'
import type { TwoFactor } from './two-factor.ts'

/** One-time codes as a second factor, for whoever is signed in. */
export function twoFactorRoutes(
  server: Server,
  needs: { twoFactor: TwoFactor; loginRate: Rate },
): void {
  const { twoFactor, loginRate } = needs
  const viewer = { access: 'viewer' } as const
  /** These take a password: no faster than signing in. */
  const limited = {
    ...viewer,
    rateLimit: { max: loginRate.count, timeWindow: loginRate.windowMs },
  }
  const tags = ['Accounts']

  server.get(
    '/users/me/totp/',
    {
      config: viewer,
      schema: {
        tags,
        summary: 'Whether signing in takes a one-time code',
        response: { 200: twoFactorStatus },
      },
    },
    async (request) => {
      const status = await twoFactor.status(viewerOf(request).userId)
      return { enabled: status.isEnabled, recovery_codes_left: status.recoveryCodesLeft }
    },
  )

  server.post(
    '/users/me/totp/',
    {
      config: limited,
      schema: {
        tags,
        summary: 'Begin to use one-time codes',
        description: 'Nothing changes until a code of the new secret is sent back with PUT.',
        body: passwordProof,
        response: { 200: totpEnrolment, 400: fieldErrors, 409: detailError },
      },
    },
    async (request, reply) => {
      const { userId } = viewerOf(request)
      const enrolment = await twoFactor.enrol(userId, request.body.password, request.ip)
      reply.header('cache-control', 'no-store')
      return { secret: enrolment.secret, otpauth_url: enrolment.url, qr_svg: enrolment.qrSvg }
    },
  )

  server.put(
    '/users/me/totp/',
    {
      config: limited,
      schema: {
        tags,
        summary: 'Turn one-time codes on',
        description: 'Gives ten recovery codes, once.',
        body: codeProof,
        response: { 200: recoveryCodes, 400: fieldErrors, 409: detailError },
      },
    },
    async (request, reply) => {
      const { userId } = viewerOf(request)
      const codes = await twoFactor.confirm(userId, request.body.code, request.ip)
      reply.header('cache-control', 'no-store')
      return { recovery_codes: codes }
    },
  )

  server.delete(
    '/users/me/totp/',
    {
      config: limited,
      schema: {
        tags,
        summary: 'Turn one-time codes off',
        body: fullProof,
        response: {
          200: z.object({ message: z.string() }),
          400: fieldErrors,
          409: detailError,
          429: detailError,
        },
      },
    },
    async (request) => {
      await twoFactor.disable(viewerOf(request).userId, request.body, request.ip)
      return { message: 'One-time codes are off.' }
    },
  )

  server.post(
    '/users/me/totp/recovery-codes/',
    {
      config: limited,
      schema: {
        tags,
        summary: 'Make ten new recovery codes',
        description: 'The earlier ones are void.',
        body: fullProof,
        response: { 200: recoveryCodes, 400: fieldErrors, 409: detailError, 429: detailError },
      },
    },
    async (request, reply) => {
      const { userId } = viewerOf(request)
      const codes = await twoFactor.renewRecoveryCodes(userId, request.body, request.ip)
      reply.header('cache-control', 'no-store')
      return { recovery_codes: codes }
    },
  )

  server.delete(
    '/admin/api/users/:id/totp/',
    {
      config: { access: 'superuser' },
      schema: {
        tags: ['Administration'],
        summary: 'Turn off the one-time codes of somebody who has lost them',
        params: z.object({ id: z.string().meta({ pattern: '^\\d+$' }) }),
        response: { 204: z.null(), 404: detailError, 409: detailError },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      if (!/^\d{1,15}$/.test(id)) throw new AppError('not_found', 'Not found.')
      const { userId } = viewerOf(request)
      await twoFactor.disableFor(Number(id), { userId, address: request.ip })
      return await reply.code(204).send(null)
    },
  )
}
