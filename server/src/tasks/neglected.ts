import type { Logger } from 'pino'
import type { Database } from '../db/database.ts'
import type { Clock } from '../ports/clock.ts'
import { laneOf, type Lane, type TaskKind } from './task.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
/** Several sweeps, and a restart of all workers. */
const PATIENCE_MS = 5 * MINUTE

/** Tasks of a kind that have been due for minutes. */
export interface Waiting {
  kind: TaskKind
  count: number
  since: Date
  /** Nobody has anything of its lane in hand: who should take it does not run. */
  isNeglected: boolean
}

export async function listWaiting(db: Database, now: Date): Promise<Waiting[]> {
  const waiting = await db
    .selectFrom('tasks')
    .select((eb) => [
      'kind',
      eb.fn.countAll<number>().as('count'),
      eb.fn.min<Date | string>('due_at').as('since'),
    ])
    .where('finished_at', 'is', null)
    .where('due_at', '<', new Date(now.getTime() - PATIENCE_MS))
    .where((eb) => eb.or([eb('lease_until', 'is', null), eb('lease_until', '<', now)]))
    .groupBy('kind')
    .orderBy('kind')
    .execute()
  const busy = await busyLanes(db, now)
  return waiting.map(({ kind, count, since }) => ({
    kind: kind as TaskKind,
    count,
    // SQLite forgets what a column is when something is made of it.
    since: new Date(since),
    isNeglected: !busy.has(laneOf(kind as TaskKind)),
  }))
}

async function busyLanes(db: Database, now: Date): Promise<Set<Lane>> {
  const rows = await db
    .selectFrom('tasks')
    .select('lane')
    .distinct()
    .where('finished_at', 'is', null)
    .where('lease_until', '>=', now)
    .execute()
  return new Set(rows.map(({ lane }) => lane as Lane))
}

export function tellNeglected({ kind, count, since }: Waiting): string {
  const tasks = count === 1 ? 'a task' : `${count} tasks`
  return `nobody takes ${tasks} of the kind ${kind}, due since ${since.toISOString()}: start a worker without --only and WORKER_ONLY, or with ${kind} among them.`
}

/** Returns what warns of neglected tasks; at most once an hour, however often it is called. */
export function neglectWatch(needs: {
  db: Database
  clock: Clock
  log: Logger
}): () => Promise<void> {
  const { db, clock, log } = needs
  let lastRun = Number.NEGATIVE_INFINITY
  return async () => {
    const now = clock.now()
    if (now.getTime() - lastRun < HOUR) return
    lastRun = now.getTime()
    const waiting = await listWaiting(db, now)
    for (const each of waiting.filter(({ isNeglected }) => isNeglected)) {
      log.warn(tellNeglected(each))
    }
  }
}
