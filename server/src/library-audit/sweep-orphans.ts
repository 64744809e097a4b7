import type { Logger } from 'pino'
import { isUniqueViolation, transact, type Database, type Transacting } from '../db/database.ts'
import type { Clock } from '../ports/clock.ts'
import { cancel, enqueue } from '../tasks/queue.ts'
import { waitForStore } from '../tasks/store-away.ts'
import type { TaskHandler } from '../tasks/task.ts'
import type { LibraryAudit } from './audit-library.ts'
import type { AuditedStore, Finding } from './finding.ts'
import { isDatabaseInDoubt, surveyStores, type Survey } from './orphan-survey.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const SUBJECT = 'orphans'

/**
 * Longer than any upload or step takes from its file to its row. Whatever fails in between is tried again within
 * minutes, and stores its file anew.
 */
const LEAST_AGE_MS = DAY

type Removed = Partial<Record<AuditedStore, number>>
type Choice = Parameters<typeof surveyStores>[1]

/** Once a day, of all workers one: removes what belongs to nothing, and writes the task for the next day. */
export function sweepOrphansHandler(needs: {
  log: Logger
  audit: Pick<LibraryAudit, 'orphans' | 'remove'>
  /** By the clock that dates what is stored. */
  timeOfStore: (signal: AbortSignal) => Promise<Date>
}): TaskHandler<'sweep_orphans'> {
  const { log, audit, timeOfStore } = needs

  async function sweep(signal: AbortSignal): Promise<Removed> {
    const choice = { now: await timeOfStore(signal), leastAgeMs: LEAST_AGE_MS, signal }
    const surveys = await surveyStores(audit, choice)
    if (isDatabaseInDoubt(surveys)) {
      const counts = surveys.map(({ store, wanted, orphans }) => ({ store, wanted, orphans }))
      log.error({ surveys: counts }, doubtOf(surveys))
      return {}
    }
    const removed: Removed = {}
    for await (const finding of orphansOf(surveys, choice)) {
      signal.throwIfAborted()
      const { store, key, detail } = finding
      if (!(await audit.remove(finding))) continue
      log.info({ store, key, detail }, 'removed what belongs to nothing')
      removed[store] = (removed[store] ?? 0) + 1
    }
    return removed
  }

  async function* orphansOf(surveys: Survey[], choice: Choice): AsyncGenerator<Finding> {
    for (const { found } of surveys) yield* found
    const within: AuditedStore[] = ['intermediates', 'staging', 'multiparts']
    for await (const finding of audit.orphans({ ...choice, within })) {
      if (finding.problem === 'orphan') yield finding
    }
  }

  return {
    async run(task) {
      const removed = await sweep(task.signal).catch((error: unknown) => {
        throw waitForStore(error)
      })
      await task.commit(scheduleNext)
      log.info({ removed }, 'looked for files that belong to nothing')
    },
    giveUp: (trx, _payload, _failure, now) => scheduleNext(trx, now),
  }
}

function doubtOf(surveys: Survey[]): string {
  const counts = surveys.map(
    ({ store, wanted, orphans }) => `${orphans} of ${wanted + orphans} files of ${store}`,
  )
  return (
    `No row names ${counts.join(' and ')}: none is removed, and a day from now it is looked again. ` +
    'See whether this is the right database (DATABASE_URL, DB_*, DATA_DIR), and all of it. ' +
    'If the files may go: `videoflix audit-library --quick` lists them, with --fix it removes them.'
  )
}

/** Not at the same minute every day: that may be the one in which all is busy. */
async function scheduleNext(trx: Transacting, now: Date): Promise<void> {
  const dueAt = new Date(now.getTime() + DAY + Math.random() * HOUR)
  await enqueue(trx, 'sweep_orphans', {}, { subject: SUBJECT, now, dueAt })
}

/** After that time, and not sooner. */
export async function putOffSweep(trx: Transacting, now: Date, dueAt: Date): Promise<void> {
  const { numUpdatedRows } = await trx
    .updateTable('tasks')
    .set({ due_at: dueAt })
    .where('subject', '=', SUBJECT)
    .where('finished_at', 'is', null)
    .executeTakeFirst()
  if (numUpdatedRows > 0n) return
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
