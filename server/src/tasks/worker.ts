import type { Logger } from 'pino'
import type { Settings } from '../config/settings.ts'
import { transact, type Database } from '../db/database.ts'
import type { TaskRow } from '../db/tables.ts'
import type { Clock } from '../ports/clock.ts'
import type { Doorbell } from '../ports/doorbell/doorbell.ts'
import { isDead } from './owner.ts'
import * as queue from './queue.ts'
import {
  LANES,
  LeaseLost,
  PAYLOADS,
  TaskFailure,
  type Handlers,
  type Lane,
  type Payload,
  type Progress,
  type RunningTask,
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
  /** From `newOwner`. */
  owner: string
  isRunning: (pid: number) => boolean
}

export interface Worker {
  /** Begins to claim and run tasks. */
  start(): void
  /** Claims no more, gives back what runs, and resolves when all of it has stopped. */
  drain(): Promise<void>
  /** Resolves when nothing is due and nothing runs. For tests and commands that wait. */
  idle(): Promise<void>
}

const DRAINING = 'draining'
const QUICK_CONCURRENCY = 4
const FINISHED_KEPT_MS = 7 * 86_400_000
const FIRST_RETRY_MS = 2000
const LONGEST_RETRY_MS = 10 * 60_000
/** A task whose worker vanishes is not to blame for the first few times; one that always kills its worker is. */
const LOST_LEASES_PER_ATTEMPT = 3

/** Claims due tasks and runs their handlers, several at a time in each lane. */
export function createWorker(needs: Needs): Worker {
  const { db, clock, doorbell, log, handlers, settings, owner } = needs
  const limits: Record<Lane, number> = { media: settings.concurrency, quick: QUICK_CONCURRENCY }
  const running: Record<Lane, Set<Promise<void>>> = { media: new Set(), quick: new Set() }
  const aborts = new Set<AbortController>()
  const claiming = new Map<Lane, Promise<void>>()
  const rungAgain = new Set<Lane>()
  let isDraining = false
  let sweepTimer: NodeJS.Timeout | undefined
  let stopListening = (): void => {}

  function look(): void {
    for (const lane of Object.keys(LANES) as Lane[]) fill(lane)
  }

  /** Claims until the lane is full or nothing is due; one claimer a lane, and a ring meanwhile is not forgotten. */
  function fill(lane: Lane): void {
    if (isDraining) return
    if (claiming.has(lane)) {
      rungAgain.add(lane)
      return
    }
    const work = claimAll(lane)
      .catch((error: unknown) => log.error({ err: error, lane }, 'could not claim tasks'))
      .finally(() => {
        claiming.delete(lane)
        if (rungAgain.delete(lane)) fill(lane)
      })
    claiming.set(lane, work)
  }

  async function claimAll(lane: Lane): Promise<void> {
    while (!isDraining && running[lane].size < limits[lane]) {
      const now = clock.now()
      const until = new Date(now.getTime() + settings.leaseMs)
      const row = await queue.claim(db, lane, { owner, now, until })
      if (!row) return
      const run = runTask(row).finally(() => {
        running[lane].delete(run)
        fill(lane)
      })
      running[lane].add(run)
    }
  }

  async function runTask(row: TaskRow): Promise<void> {
    const kind = row.kind as TaskKind
    const handler = handlers[kind] as TaskHandler<TaskKind>
    const lease = { id: row.id, leaseToken: row.lease_token }
    const abort = new AbortController()
    aborts.add(abort)
    const stopRenewing = keepLease(lease, abort)
    const timeout = setTimeout(() => abort.abort(timedOut()), settings.timeoutMs)
    try {
      if (row.attempts > attemptsOf(handler) * LOST_LEASES_PER_ATTEMPT) throw keptVanishing()
      const payload = PAYLOADS[kind].parse(row.payload) as Payload<TaskKind>
      await handler.run(runningTask(row, lease, payload, abort.signal))
    } catch (error) {
      await settle(row, lease, abort.signal.aborted ? abort.signal.reason : error).catch(
        (failure: unknown) => log.error({ err: failure, task: row.id }, 'could not settle a task'),
      )
    } finally {
      clearTimeout(timeout)
      stopRenewing()
      aborts.delete(abort)
    }
  }

  function runningTask(
    row: TaskRow,
    lease: { id: number; leaseToken: number },
    payload: Payload<TaskKind>,
    signal: AbortSignal,
  ): RunningTask<TaskKind> {
    return {
      id: row.id,
      payload,
      attempt: row.attempts,
      leaseToken: row.lease_token,
      signal,
      report: throttled((progress) =>
        queue.storeProgress(db, lease, progress).catch((error: unknown) => {
          log.warn({ err: error, task: row.id }, 'could not store progress')
        }),
      ),
      async commit(effect) {
        const now = clock.now()
        await transact(db, async (trx) => {
          if (!(await queue.finish(trx, lease, { outcome: 'done', now }))) throw new LeaseLost()
          await effect(trx, now)
        })
        doorbell.ring('tasks')
      },
    }
  }

  /** Renews in good time; aborts the run when the lease is lost, or could not be renewed before its end. */
  function keepLease(
    lease: { id: number; leaseToken: number },
    abort: AbortController,
  ): () => void {
    let until = Date.now() + settings.leaseMs
    const timer = setInterval(() => {
      const next = new Date(clock.now().getTime() + settings.leaseMs)
      const end = Date.now() + settings.leaseMs
      queue.renew(db, lease, next).then(
        (isOurs) => {
          if (isOurs) until = end
          else abort.abort(new LeaseLost())
        },
        (error: unknown) => {
          log.warn({ err: error, task: lease.id }, 'could not renew a lease')
          if (Date.now() >= until) abort.abort(new LeaseLost())
        },
      )
    }, settings.leaseMs / 3)
    return () => clearInterval(timer)
  }

  async function settle(
    row: TaskRow,
    lease: { id: number; leaseToken: number },
    error: unknown,
  ): Promise<void> {
    if (error === DRAINING) return queue.release(db, lease)
    if (error instanceof LeaseLost) {
      log.info({ task: row.id, kind: row.kind }, 'lease lost: another run has the task')
      return
    }
    const failure = asFailure(error)
    log.warn({ err: error, task: row.id, kind: row.kind, code: failure.code }, 'task failed')
    const attempts = attemptsOf(handlers[row.kind as TaskKind])
    if (!failure.permanent && row.failures + 1 < attempts) {
      const dueAt = new Date(clock.now().getTime() + backOffMs(row.failures))
      await queue.postpone(db, lease, { dueAt, lastError: failure.message })
      wakeAt(dueAt)
      return
    }
    await giveUp(row, lease, failure)
  }

  async function giveUp(
    row: TaskRow,
    lease: { id: number; leaseToken: number },
    failure: TaskFailure,
  ): Promise<void> {
    const kind = row.kind as TaskKind
    const handler = handlers[kind] as TaskHandler<TaskKind>
    const now = clock.now()
    await transact(db, async (trx) => {
      const end = { outcome: 'failed', now, lastError: failure.message } as const
      if (!(await queue.finish(trx, lease, end))) return
      await handler.giveUp(trx, row.payload as Payload<TaskKind>, failure, now)
    })
    doorbell.ring('tasks')
  }

  function attemptsOf(handler: { attempts?: number }): number {
    return handler.attempts ?? settings.attempts
  }

  function wakeAt(dueAt: Date): void {
    setTimeout(look, Math.max(0, dueAt.getTime() - clock.now().getTime()) + 10).unref()
  }

  async function sweep(): Promise<void> {
    const owners = await queue.listOwners(db)
    await queue.endLeasesOf(
      db,
      owners.filter((other) => isDead(other, owner, needs.isRunning)),
    )
    await queue.forgetFinished(db, new Date(clock.now().getTime() - FINISHED_KEPT_MS))
  }

  function sweepAndLook(): void {
    sweep()
      .catch((error: unknown) => log.error({ err: error }, 'could not sweep the tasks'))
      .finally(look)
  }

  const allRuns = (): Promise<void>[] => [...running.media, ...running.quick]

  return {
    start() {
      stopListening = doorbell.onRing('tasks', look)
      sweepTimer = setInterval(sweepAndLook, settings.sweepIntervalMs)
      sweepAndLook()
    },

    async drain() {
      isDraining = true
      clearInterval(sweepTimer)
      stopListening()
      await Promise.allSettled(claiming.values())
      for (const abort of aborts) abort.abort(DRAINING)
      await Promise.allSettled(allRuns())
    },

    async idle() {
      do {
        look()
        await Promise.allSettled(claiming.values())
        await Promise.allSettled(allRuns())
      } while (claiming.size > 0 || allRuns().length > 0)
    },
  }
}

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
    {
      permanent: false,
    },
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

/** At most one call a second; the last one of a burst is not lost. */
function throttled(store: (progress: Progress) => Promise<void>): (progress: Progress) => void {
  let latest: Progress | undefined
  let timer: NodeJS.Timeout | undefined
  const flush = (): void => {
    timer = undefined
    if (latest === undefined) return
    const progress = latest
    latest = undefined
    timer = setTimeout(flush, 1000)
    timer.unref()
    void store(progress)
  }
  return (progress) => {
    latest = progress
    if (timer === undefined) flush()
  }
}
