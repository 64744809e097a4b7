import type { Logger } from 'pino'
import { isUniqueViolation, transact, type Database, type Transacting } from '../db/database.ts'
import { AppError } from '../errors.ts'
import type { Clock } from '../ports/clock.ts'
import { cancel, enqueue } from '../tasks/queue.ts'
import { NotYet, type TaskHandler } from '../tasks/task.ts'
import type { LibraryAudit } from './audit-library.ts'
import type { AuditedStore } from './finding.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const STORE_WAIT_MS = 30_000
const SUBJECT = 'orphans'

/**
 * Longer than any upload or step takes from its file to its row. Whatever fails in between is tried again within
 * minutes, and stores its file anew.
 */
const LEAST_AGE_MS = DAY

type Removed = Partial<Record<AuditedStore, number>>

/** Once a day, of all workers one: removes what belongs to nothing, and writes the task for the next day. */
export function sweepOrphansHandler(needs: {
  log: Logger
  audit: Pick<LibraryAudit, 'orphans' | 'remove'>
  /** By the clock that dates what is stored. */
  timeOfStore: (signal: AbortSignal) => Promise<Date>
}): TaskHandler<'sweep_orphans'> {
  const { log, audit, timeOfStore } = needs

  async function sweep(signal: AbortSignal): Promise<Removed> {
    const removed: Removed = {}
    const now = await timeOfStore(signal)
    for await (const finding of audit.orphans({ now, leastAgeMs: LEAST_AGE_MS, signal })) {
      signal.throwIfAborted()
      const { problem, store, key, detail } = finding
      if (problem !== 'orphan' || !(await audit.remove(finding))) continue
      log.info({ store, key, detail }, 'removed what belongs to nothing')
      removed[store] = (removed[store] ?? 0) + 1
    }
    return removed
  }

  return {
    async run(task) {
      const removed = await sweep(task.signal).catch((error: unknown) => {
        throw isStoreAway(error) ? new NotYet(STORE_WAIT_MS) : error
      })
      await task.commit(scheduleNext)
      log.info({ removed }, 'looked for files that belong to nothing')
    },
    giveUp: (trx, _payload, _failure, now) => scheduleNext(trx, now),
  }
}

function isStoreAway(error: unknown): boolean {
  return (
    error instanceof AppError && (error.code === 'unavailable' || error.code === 'misconfigured')
  )
}

/** Not at the same minute every day: that may be the one in which all is busy. */
async function scheduleNext(trx: Transacting, now: Date): Promise<void> {
  const dueAt = new Date(now.getTime() + DAY + Math.random() * HOUR)
  await enqueue(trx, 'sweep_orphans', {}, { subject: SUBJECT, now, dueAt })
}

/** Returns what sees to it that there is a next sweep, or none; does so once, however often it is called. */
export function orphanSweepPlanner(needs: {
  db: Database
  clock: Clock
  isWanted: boolean
}): () => Promise<void> {
  const { db, clock, isWanted } = needs
  let isPlanned = false
  return async () => {
    if (isPlanned) return
    if (isWanted) await planFirst(db, clock.now())
    else await transact(db, (trx) => cancel(trx, SUBJECT))
    isPlanned = true
  }
}

/** The index `tasks_single` lets no second one in. */
async function planFirst(db: Database, now: Date): Promise<void> {
  const planned = await db
    .selectFrom('tasks')
    .select('id')
    .where('subject', '=', SUBJECT)
    .where('finished_at', 'is', null)
    .executeTakeFirst()
  if (planned) return
  try {
    await transact(db, (trx) => scheduleNext(trx, now))
  } catch (error) {
    if (!isUniqueViolation(error)) throw error
  }
}
