import { detailError, fieldErrors, MESSAGES, ownSession } from '@videoflix/contract'
import { z } from 'zod'
import type { Audit } from '../audit/audit.ts'
import type { Settings } from '../config/settings.ts'
import type { Database } from '../db/database.ts'
import { AppError } from '../errors.ts'
import { viewerOf } from '../http/authentication.ts'
import { clearSessionCookies } from '../http/cookies.ts'
import type { Server } from '../http/server.ts'
import type { Clock } from '../ports/clock.ts'
import { listLiveSessionsOf, revokeSessionOf, revokeSessionsBut } from './session-rows.ts'
import type { Sessions } from './sessions.ts'

const PATH = '/users/me/sessions/'

/** Where somebody is signed in, and out of it again. */
export function ownSessionRoutes(
  server: Server,
  needs: {
    db: Database
    clock: Clock
    audit: Audit
    sessions: Sessions
    cookies: Settings['cookies']
  },
): void {
  const { db, clock, audit, sessions, cookies } = needs
  const config = { access: 'viewer' } as const
  const tags = ['Sessions']

  server.get(
    PATH,
    {
      config,
      schema: {
        tags,
        summary: 'Where you are signed in',
        description: 'Latest use first, at most a hundred.',
        response: { 200: z.array(ownSession) },
      },
    },
    async (request) => {
      const { userId, sessionId } = viewerOf(request)
      const live = await listLiveSessionsOf(db, userId, clock.now())
      return live.map((session) => ({
        id: session.id,
        created_at: session.created_at.toISOString(),
        last_used_at: session.rotated_at.toISOString(),
        expires_at: session.expires_at.toISOString(),
        address: session.address,
        user_agent: session.user_agent,
        is_current: session.id === sessionId,
      }))
    },
  )

  server.delete(
    PATH,
    {
      config,
      schema: {
        tags,
        summary: 'Sign out everywhere',
        description: 'With `keep_current=true` everywhere else.',
        querystring: z.object({
          keep_current: z.enum(['true', 'false'], { error: MESSAGES.boolean }).default('false'),
        }),
        response: { 204: z.null(), 400: fieldErrors },
      },
    },
    async (request, reply) => {
      const { userId, sessionId } = viewerOf(request)
      const isKept = request.query.keep_current === 'true'
      const keptId = isKept ? sessionId : null
      const ended = await revokeSessionsBut(db, userId, keptId, clock.now())
      sessions.forgetChecks()
      const details = { sessions: ended, kept_current: isKept }
      await audit.record('sessions_ended', { userId, address: request.ip, details })
      if (!isKept) clearSessionCookies(reply, cookies)
      return await reply.code(204).send(null)
    },
  )

  server.delete(
    `${PATH}:id/`,
    {
      config,
      schema: {
        tags,
        summary: 'Sign out somewhere',
        params: z.object({ id: z.string() }),
        response: { 204: z.null(), 404: detailError },
      },
    },
    async (request, reply) => {
      const { userId, sessionId } = viewerOf(request)
      const { id } = request.params
      const isEnded = /^[\w-]{22}$/.test(id) && (await revokeSessionOf(db, userId, id, clock.now()))
      if (!isEnded) throw new AppError('not_found', 'Not found.')
      sessions.forgetChecks()
      await audit.record('logout', { userId, address: request.ip, details: { session: id } })
      if (id === sessionId) clearSessionCookies(reply, cookies)
      return await reply.code(204).send(null)
    },
  )
}
