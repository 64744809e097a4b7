import { sql, type RawBuilder, type SqlBool } from 'kysely'
import type { Clock } from '../ports/clock.ts'
import type { Database } from './database.ts'
import { deleteInPieces } from './delete-in-pieces.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR

/** Ended sessions still tell for a while from where somebody signed in (`login-throttle.ts`). */
const SESSIONS_KEPT_MS = 31 * DAY
const LINKS_KEPT_MS = 31 * DAY
const WEBHOOKS_KEPT_MS = 30 * DAY
/** Nobody finishes an upload again that late. */
const FINISHED_UPLOADS_KEPT_MS = 366 * DAY

/** Returns what forgets rows that nobody will ask for again; at most once an hour, however often it is called. */
export function outdatedRows(needs: {
  db: Database
  clock: Clock
  auditKeptMs: number
}): () => Promise<void> {
  const { db, clock, auditKeptMs } = needs
  let lastRun = Number.NEGATIVE_INFINITY
  return async () => {
    const now = clock.now().getTime()
    if (now - lastRun < HOUR) return
    lastRun = now
    const before = (column: string, keptMs: number): RawBuilder<SqlBool> =>
      sql`${sql.ref(column)} < ${new Date(now - keptMs)}`
    await deleteInPieces(db, 'sessions', 'id', before('expires_at', SESSIONS_KEPT_MS))
    await deleteInPieces(db, 'links', 'token_hash', before('expires_at', LINKS_KEPT_MS))
    await deleteInPieces(db, 'upload_locks', 'upload_id', before('held_until', DAY))
    const finishedBefore = before('finished_at', FINISHED_UPLOADS_KEPT_MS)
    await deleteInPieces(db, 'finished_uploads', 'upload_id', finishedBefore)
    await deleteInPieces(db, 'audit', 'id', before('at', auditKeptMs))
    for (const end of ['delivered_at', 'failed_at']) {
      await deleteInPieces(db, 'webhook_deliveries', 'id', before(end, WEBHOOKS_KEPT_MS))
    }
  }
}
