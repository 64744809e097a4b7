import type { Database } from '../db/database.ts'
import type { AuditRow } from '../db/tables.ts'

export interface AuditFilter {
  event?: string | undefined
  /** Whom it is about, or who did it. */
  user?: number | undefined
  since?: Date | undefined
  /** Exclusive. */
  until?: Date | undefined
}

/** One page of the audit log, newest first, and how many entries match in all. */
export async function listAudit(
  db: Database,
  { event, user, since, until }: AuditFilter,
  page: { offset: number; limit: number },
): Promise<{ results: AuditRow[]; count: number }> {
  let matching = db.selectFrom('audit')
  if (event) matching = matching.where('event', '=', event)
  if (since) matching = matching.where('at', '>=', since)
  if (until) matching = matching.where('at', '<', until)
  if (user !== undefined) {
    matching = matching.where((or) => or('user_id', '=', user).or('by_user_id', '=', user))
  }
  const { count } = await matching
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  const results = await matching
    .selectAll()
    .orderBy('at', 'desc')
    .orderBy('id', 'desc')
    .offset(page.offset)
    .limit(page.limit)
    .execute()
  return { results, count }
}
