import type { Clock } from '../ports/clock.ts'
import type { Database } from './database.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR

/** Ended sessions still tell for a while from where somebody signed in (`login-throttle.ts`). */
const SESSIONS_KEPT_MS = 31 * DAY
const LINKS_KEPT_MS = 31 * DAY
const WEBHOOKS_KEPT_MS = 30 * DAY

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
    const before = (keptMs: number): Date => new Date(now - keptMs)
    await db.deleteFrom('sessions').where('expires_at', '<', before(SESSIONS_KEPT_MS)).execute()
    await db.deleteFrom('links').where('expires_at', '<', before(LINKS_KEPT_MS)).execute()
    await db.deleteFrom('audit').where('at', '<', before(auditKeptMs)).execute()
    for (const end of ['delivered_at', 'failed_at'] as const) {
      await db.deleteFrom('webhook_deliveries').where(end, '<', before(WEBHOOKS_KEPT_MS)).execute()
    }
  }
}
