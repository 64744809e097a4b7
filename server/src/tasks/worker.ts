import type { Logger } from 'pino'
import type { Settings } from '../config/settings.ts'
import type { Database } from '../db/database.ts'
import { isDatabaseAway } from '../db/outage.ts'
import type { Clock } from '../ports/clock.ts'
import type { Doorbell } from '../ports/doorbell/doorbell.ts'
import { isDead } from './owner.ts'
import { untilAbandoned } from './patience.ts'
import * as queue from './queue.ts'
import { DRAINING, taskRunner } from './run.ts'
import { unlessAll, type Kinds } from './served-kinds.ts'
import { LANES, type Handlers, type Lane } from './task.ts'

interface Needs {
  db: Database
  clock: Clock
  doorbell: Doorbell
  log: Logger
  handlers: Handlers
  settings: Settings['tasks']
  /** What it takes. */
  kinds: Kinds
  /** How many at once. */
  encodings: number
  /** From `newOwner`. */
  owner: string
  isRunning: (pid: number) => boolean
  /** What else to do at the start and at every sweep. */
  alsoSweep?: () => Promise<void>
}

export interface Worker {
  /** Begins to claim and run tasks. */
  start(): void
  /** Claims no more, gives back what runs, and resolves when all of it has stopped. */
  drain(): Promise<void>
  /** Resolves when nothing is due and nothing runs. For tests and commands that wait. */
  idle(): Promise<void>
}

const QUICK_CONCURRENCY = 4
/** They read and write more than they calculate. */
const FILES_CONCURRENCY = 2
/** Most of them wait for a receiver; `webhooks/send-webhook.ts` says how many for the same one. */
const WEBHOOK_CONCURRENCY = 32
const FINISHED_KEPT_MS = 7 * 86_400_000
/** Their tasks need room for a film on this machine's disk. */
const FILM_LANES: ReadonlySet<Lane> = new Set<Lane>(['media', 'files'])
/** So long a full disk keeps films away at most: meanwhile there may be room again. */
const LONGEST_REST_MS = 60_000

/** Claims due tasks and runs their handlers, several at a time in each lane. */
export function createWorker(needs: Needs): Worker {
  const { db, clock, doorbell, log, settings, owner } = needs
  const runTask = taskRunner(needs)
  const kinds = unlessAll(needs.kinds)
  const limits: Record<Lane, number> = {
    media: needs.encodings,
    files: FILES_CONCURRENCY,
    quick: QUICK_CONCURRENCY,
    webhooks: WEBHOOK_CONCURRENCY,
  }
  const running: Record<Lane, Set<Promise<void>>> = {
    media: new Set(),
    files: new Set(),
    quick: new Set(),
    webhooks: new Set(),
  }
  const claiming = new Map<Lane, Promise<void>>()
  const rungAgain = new Set<Lane>()
  let looking: Promise<void> | undefined
  let isRungAgain = false
  const draining = new AbortController()
  let isDraining = false
  /** Until then, films are left to others. */
  let restsUntil = new Date(0)
  /** Runs, since the start. */
  let begun = 0
  let sweeping: Promise<void> | undefined
  let sweepTimer: NodeJS.Timeout | undefined
  let stopListening = (): void => {}

  /** One statement, as most rings are for others. One look at a time; a ring meanwhile is not forgotten. */
  function look(): void {
    if (isDraining) return
    if (looking !== undefined) {
      isRungAgain = true
      return
    }
    looking = fillDueLanes()
      .catch((error: unknown) => tell(error, 'could not look for tasks'))
      .finally(() => {
        looking = undefined
        if (!isRungAgain) return
        isRungAgain = false
        look()
      })
  }

  /** A lane that is full looks by itself when it has room again. */
  async function fillDueLanes(): Promise<void> {
    const lanes = Object.keys(LANES) as Lane[]
    const withRoom = lanes.filter((lane) => running[lane].size < limits[lane])
    if (withRoom.length === 0) return
    for (const lane of await queue.listDueLanes(db, withRoom, clock.now(), kinds)) fill(lane)
  }

  /** Claims until the lane is full or nothing is due; one claimer a lane, and a ring meanwhile is not forgotten. */
  function fill(lane: Lane): void {
    if (isDraining) return
    if (claiming.has(lane)) {
      rungAgain.add(lane)
      return
    }
    const work = claimAll(lane)
      .catch((error: unknown) => tell(error, 'could not claim tasks'))
      .finally(() => {
        claiming.delete(lane)
        if (rungAgain.delete(lane)) fill(lane)
      })
    claiming.set(lane, work)
  }

  async function claimAll(lane: Lane): Promise<void> {
    while (!isDraining && running[lane].size < limits[lane]) {
      const now = clock.now()
      if (FILM_LANES.has(lane) && now < restsUntil) return
      const until = new Date(now.getTime() + settings.leaseMs)
      const row = await queue.claim(db, lane, { owner, now, until }, kinds)
      if (!row) return
      const run = runTask(row, draining.signal).then((retry) => {
        running[lane].delete(run)
        if (retry?.byOthers) leaveToOthers(retry.dueAt)
        else if (retry) wakeAt(retry.dueAt)
        fill(lane)
      })
      running[lane].add(run)
      begun += 1
    }
  }

  /** Whoever fails at once is free at once, and would take every film. Others look for what is due once a sweep. */
  function leaveToOthers(dueAt: Date): void {
    const restMs = Math.min(dueAt.getTime() - clock.now().getTime(), LONGEST_REST_MS)
    restsUntil = new Date(clock.now().getTime() + restMs + settings.sweepIntervalMs)
    log.warn({ until: restsUntil }, 'no room on the disk: films are left to other workers for now')
    wakeAt(restsUntil)
  }

  function wakeAt(dueAt: Date): void {
    setTimeout(look, Math.max(0, dueAt.getTime() - clock.now().getTime()) + 10).unref()
  }

  async function sweep(): Promise<void> {
    const owners = await queue.listOwners(db)
    const dead = owners.filter((other) => isDead(other, owner, needs.isRunning))
    await queue.endLeasesOf(db, dead)
    look()
    try {
      await needs.alsoSweep?.()
    } finally {
      await queue.forgetFinished(db, new Date(clock.now().getTime() - FINISHED_KEPT_MS))
    }
  }

  /** Looks at least, whatever else fails; one sweep at a time. */
  function sweepAndLook(): void {
    look()
    sweeping ??= sweep()
      .catch((error: unknown) => tell(error, 'could not sweep the tasks'))
      .finally(() => (sweeping = undefined))
  }

  /** While the database is away, the next sweep tries again; the log was told of that. */
  function tell(error: unknown, what: string): void {
    if (!isDatabaseAway(error)) log.error({ err: error }, what)
  }

  const allRuns = (): Promise<void>[] => Object.values(running).flatMap((runs) => [...runs])
  const isBusy = (): boolean => looking !== undefined || claiming.size > 0 || allRuns().length > 0

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
      await Promise.allSettled([looking, ...claiming.values()])
      draining.abort(DRAINING)
      const swept = sweeping && untilAbandoned(sweeping, draining.signal)
      await Promise.allSettled([...allRuns(), swept])
    },

    async idle() {
      let before
      do {
        before = begun
        look()
        while (isBusy()) await Promise.allSettled([looking, ...claiming.values(), ...allRuns()])
      } while (begun > before)
    },
  }
}
