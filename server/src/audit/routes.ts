import { auditEntry, fieldErrors, MESSAGES } from '@videoflix/contract'
import { z } from 'zod'
import type { Database } from '../db/database.ts'
import { pageOf, pageQuery, rowsOf, toPage } from '../http/paging.ts'
import type { Server } from '../http/server.ts'
import { AUDIT_EVENTS } from './audit.ts'
import { listAudit } from './audit-rows.ts'

const instant = () =>
  z.iso
    .datetime({ offset: true, error: 'Write an instant such as 2026-06-19T12:00:00Z.' })
    .transform((text) => new Date(text))
    .optional()
    .meta({ type: 'string', format: 'date-time' })

const userId = () =>
  z
    .string()
    .regex(/^\d{1,15}$/, { error: 'Write the id of a user.' })
    .transform(Number)
    .optional()
    .meta({ type: 'integer' })

const listQuery = pageQuery.extend({
  event: z.enum(AUDIT_EVENTS, { error: ({ input }) => MESSAGES.choice(String(input)) }).optional(),
  user: userId().describe('Whom it is about, or who did it'),
  since: instant(),
  until: instant().describe('Exclusive'),
})

export function auditRoutes(server: Server, needs: { db: Database; backendOrigin: string }): void {
  const { db, backendOrigin } = needs
  server.get(
    '/admin/api/audit/',
    {
      config: { access: 'superuser' },
      schema: {
        tags: ['Administration'],
        summary: 'Who did what, newest first',
        querystring: listQuery,
        response: { 200: pageOf(auditEntry), 400: fieldErrors },
      },
    },
    async (request) => {
      const { event, user, since, until } = request.query
      const filter = { event, user, since, until }
      const { results, count } = await listAudit(db, filter, rowsOf(request.query))
      const entries = results.map((row) => ({
        ...row,
        at: row.at.toISOString(),
        details: row.details as z.infer<typeof auditEntry>['details'],
      }))
      return toPage(request, backendOrigin, request.query, { results: entries, count })
    },
  )
}
