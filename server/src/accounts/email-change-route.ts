import { namedError } from '@videoflix/contract'
import { z } from 'zod'
import { AppError } from '../errors.ts'
import type { Server } from '../http/server.ts'
import type { AccountLinks } from './account-links.ts'
import type { EmailChange } from './email-change.ts'
import { linkQuery, readLink } from './link-query.ts'
import { emailChangeFailedPage } from './pages.ts'

const PATH = '/users/confirm-email/'

export function emailChangeRoute(
  server: Server,
  needs: { emailChange: EmailChange; links: AccountLinks; frontendUrl: string },
): void {
  const { emailChange, links, frontendUrl } = needs

  server.get(
    PATH,
    {
      exposeHeadRoute: false,
      config: { access: 'public', errorShape: 'error' },
      schema: {
        tags: ['Accounts'],
        summary: 'Open the link that proves a new address',
        querystring: linkQuery,
        response: {
          302: z.null(),
          400: z.union([namedError, z.string()]),
          409: z.union([namedError, z.string()]),
        },
      },
    },
    async (request, reply) => {
      try {
        const { userId, token } = readLink(request.query, links)
        await emailChange.confirm(userId, token, request.ip)
      } catch (error) {
        const isPage = request.headers.accept?.includes('text/html') ?? false
        if (!isPage || !(error instanceof AppError)) throw error
        const isTaken = error.code === 'conflict'
        return reply
          .code(isTaken ? 409 : 400)
          .type('text/html; charset=utf-8')
          .send(emailChangeFailedPage({ frontendUrl, isTaken }))
      }
      return reply.redirect(frontendUrl, 302)
    },
  )
  // Mail scanners look before people click: a look changes nothing.
  server.head(PATH, { config: { access: 'public' }, schema: { hide: true } }, (_request, reply) =>
    reply.code(200).send(),
  )
}
