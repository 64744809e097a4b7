import type { Logger } from 'pino'
import type { Settings } from '../config/settings.ts'
import { transact, type Database } from '../db/database.ts'
import { isDatabaseAway } from '../db/outage.ts'
import type { TaskRow } from '../db/tables.ts'
import type { Clock } from '../ports/clock.ts'
import type { Doorbell } from '../ports/doorbell/doorbell.ts'
import { insist } from './insist.ts'
import { keepLease } from './lease.ts'
import { untilAbandoned } from './patience.ts'
import { keepProgress } from './progress.ts'
import * as queue from './queue.ts'
import {
  LeaseLost,
  NotYet,
  PAYLOADS,
  TaskFailure,
  type Effect,
  type Handlers,
  type Lease,
  type Payload,
  type Progress,
  type TaskHandler,
  type TaskKind,
} from './task.ts'

interface Needs {
  db: Database
  clock: Clock
  doorbell: Doorbell
  log: Logger
  handlers: Handlers
  settings: Settings['tasks']
}

/** A task that is due again. */
interface Retry {
  dueAt: Date
  /** Others come first: there is no room for it here. */
  byOthers: boolean
}

/**
 * Runs a claimed task to its end: done, given back, to be tried later, or given up. Never throws. Returns when to look
 * for it again, or null. `draining` gives the task back as if it had not been claimed.
 */
export type RunTask = (row: TaskRow, draining: AbortSignal) => Promise<Retry | null>

const FIRST_RETRY_MS = 2000
const LONGEST_RETRY_MS = 10 * 60_000
/** Node's timers end at once when they are told a longer time. */
const LONGEST_TIMER_MS = 2 ** 31 - 1
/** A task whose worker vanishes is not to blame for the first few times; one that always kills its worker is. */
const LOST_LEASES_PER_ATTEMPT = 3
/** Nor is one that found no room on a disk; one that is too large for every disk is. */
const FULL_DISKS_PER_ATTEMPT = 3

export function taskRunner(needs: Needs): RunTask {
  const { db, clock, doorbell, log, settings } = needs
  const handlers = needs.handlers as Record<TaskKind, TaskHandler<TaskKind>>

  const handlerOf = (row: TaskRow): TaskHandler<TaskKind> => handlers[row.kind as TaskKind]
  const attemptsOf = (row: TaskRow): number => handlerOf(row).attempts ?? settings.attempts
  const waitMs = (row: TaskRow): number =>
    handlerOf(row).retryAfterMs?.(row.failures + 1) ?? backOffMs(row.failures)
  const inMs = (ms: number): Date => new Date(clock.now().getTime() + ms)

  async function runTask(row: TaskRow, draining: AbortSignal): Promise<Retry | null> {
    const lease: Lease = { id: row.id, leaseToken: row.lease_token }
    const ending = new AbortController()
    const signal = AbortSignal.any([draining, ending.signal])
    const keeping = { db, clock, log, leaseMs: settings.leaseMs }
    keepLease(keeping, lease, signal, (reason) => ending.abort(reason))
    const limitMs = Math.min(settings.timeoutMs, LONGEST_TIMER_MS)
    const timeout = setTimeout(() => ending.abort(timedOut()), limitMs)
    const progress = keepProgress((latest) => storeProgress(lease, latest))
    let isCommitted = false
    try {
      if (row.attempts > attemptsOf(row) * LOST_LEASES_PER_ATTEMPT) throw keptVanishing()
      const run = handlerOf(row).run({
        ...lease,
        payload: payloadOf(row),
        attempt: row.attempts,
        signal,
        report: (latest) => progress.report(latest),
        write: (effect) => insist(() => write(lease, effect), signal),
        async commit(effect) {
          await insist(() => commit(lease, effect), signal)
          isCommitted = true
        },
      })
      // Then its lease is given back all the same, and nothing that it may still do counts.
      await untilAbandoned(run, draining)
      if (!isCommitted) throw new Error(`a run of ${row.kind} ended without a commit`)
      return null
    } catch (error) {
      return isCommitted
        ? tell(error, row, 'a task failed after its commit')
        : await settle(row, lease, signal.aborted ? signal.reason : error, draining).catch(
            (failure: unknown) => tell(failure, row, 'could not settle a task'),
          )
    } finally {
      clearTimeout(timeout)
      progress.stop()
      ending.abort()
    }
  }

  async function storeProgress(lease: Lease, latest: Progress): Promise<void> {
    try {
      await queue.storeProgress(db, lease, latest)
    } catch (error) {
      if (!isDatabaseAway(error))
        log.warn({ err: error, task: lease.id }, 'could not store progress')
    }
  }

  async function write<T>(lease: Lease, effect: Effect<T>): Promise<T> {
    const now = clock.now()
    return await transact(db, async (trx) => {
      if (!(await queue.lockHeld(trx, lease))) throw new LeaseLost()
      return await effect(trx, now)
    })
  }

  /** May be repeated: a connection that breaks does not tell whether the commit before it took effect. */
  async function commit(lease: Lease, effect: Effect<void>): Promise<void> {
    const now = clock.now()
    await transact(db, async (trx) => {
      if (await queue.finish(trx, lease, { outcome: 'done', now })) await effect(trx, now)
      else if (!(await queue.isDone(trx, lease))) throw new LeaseLost()
    })
    doorbell.ring('tasks')
  }

  async function settle(
    row: TaskRow,
    lease: Lease,
    error: unknown,
    draining: AbortSignal,
  ): Promise<Retry | null> {
    if (error === DRAINING) {
      await queue.release(db, lease)
      return null
    }
    if (isDatabaseAway(error)) {
      log.info({ task: row.id, kind: row.kind }, 'given back: the database was away')
      await insist(() => queue.forgive(db, lease), draining)
      return { dueAt: clock.now(), byOthers: false }
    }
    if (error instanceof LeaseLost) {
      log.info({ task: row.id, kind: row.kind }, 'lease lost: another run has the task')
      return null
    }
    if (error instanceof NotYet) {
      const dueAt = inMs(error.waitMs)
      await insist(() => queue.release(db, lease, dueAt), draining)
      return { dueAt, byOthers: false }
    }
    const failure = asFailure(error)
    log.warn({ err: error, task: row.id, kind: row.kind, code: failure.code }, 'task failed')
    const tries = attemptsOf(row) * (failure.isLocal ? FULL_DISKS_PER_ATTEMPT : 1)
    if (failure.permanent || row.failures + 1 >= tries) {
      await insist(() => giveUp(row, lease, failure), draining)
      return null
    }
    const dueAt = inMs(Math.max(waitMs(row), failure.leastWaitMs))
    const retry = { dueAt, lastError: failure.message }
    await insist(() => queue.postpone(db, lease, retry), draining)
    return { dueAt, byOthers: failure.isLocal }
  }

  async function giveUp(row: TaskRow, lease: Lease, failure: TaskFailure): Promise<void> {
    const now = clock.now()
    await transact(db, async (trx) => {
      const end = { outcome: 'failed', now, lastError: failure.message } as const
      if (!(await queue.finish(trx, lease, end))) return
      await handlerOf(row).giveUp(trx, row.payload as Payload<TaskKind>, failure, now)
    })
    doorbell.ring('tasks')
    handlerOf(row).afterGiveUp?.()
  }

  function tell(error: unknown, row: TaskRow, what: string): null {
    log.error({ err: error, task: row.id, kind: row.kind }, what)
    return null
  }

  return runTask
}

function payloadOf(row: TaskRow): Payload<TaskKind> {
  return PAYLOADS[row.kind as TaskKind].parse(row.payload)
}

/** The reason of the signal that gives tasks back. */
export const DRAINING = 'draining'

function asFailure(error: unknown): TaskFailure {
  if (error instanceof TaskFailure) return error
  return new TaskFailure(
    'internal',
    'Something went wrong on our side. It will be in the server’s log; try again, and report it if it stays.',
    { permanent: false, cause: error },
  )
}

function timedOut(): TaskFailure {
  return new TaskFailure(
    'timed_out',
    'It took longer than JOB_TIMEOUT allows: raise it, or try a shorter film.',
    { permanent: false },
  )
}

function keptVanishing(): TaskFailure {
  return new TaskFailure(
    'worker_lost',
    'The program was ended several times while working on this. Try again; if it stays, the machine may be short of memory.',
    { permanent: true },
  )
}

function backOffMs(failures: number): number {
  return Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 4 ** failures)
}
