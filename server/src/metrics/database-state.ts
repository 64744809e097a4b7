import type { Registry } from 'prom-client'
import type { Database } from '../db/database.ts'
import { poolUse } from '../db/pool-use.ts'
import type { Clock } from '../ports/clock.ts'
import type { RedisLink } from '../ports/redis/redis.ts'
import { LANES, laneOf, type Lane, type TaskKind } from '../tasks/task.ts'
import { fresh } from './fresh.ts'
import { Gauge } from './prom-client.ts'
import {
  countFailed,
  groupTasks,
  sumStored,
  type StoredBytes,
  type TaskGroup,
} from './task-rows.ts'

/** Several servers may ask at once, and each may be asked by several. */
const TASKS = { keptMs: 5000, patienceMs: 2000 }
/** These read every row, and hardly change. */
const SLOW = { keptMs: 60_000, patienceMs: 2000 }

const STATES = ['waiting', 'due', 'running'] as const
const KINDS = Object.values(LANES).flat()

/**
 * What the process sees of database and Redis. Returns what brings it up to date: where the database does not answer,
 * nothing is told of what is in it, rather than what was.
 */
export function watchDatabase(
  registry: Registry,
  needs: { db: Database; clock: Clock; redis: RedisLink | null },
): () => Promise<void> {
  const { db, clock, redis } = needs
  const gauges = databaseGauges(registry)
  const askForTasks = fresh(() => groupTasks(db, clock.now()), TASKS)
  const askForFailed = fresh(() => countFailed(db), SLOW)
  const askForStored = fresh(() => sumStored(db), SLOW)
  if (redis) watchRedis(registry, redis)
  watchPool(registry, db)

  return async () => {
    const answers = await Promise.all([askForTasks(), askForFailed(), askForStored()])
    const [tasks, failed, stored] = answers
    gauges.up.set(tasks === null ? 0 : 1)
    gauges.tasks.reset()
    gauges.age.reset()
    gauges.stored.reset()
    // What is known of the others may be a minute old.
    if (tasks === null) return
    tellTasks(gauges, tasks)
    tellAges(gauges, tasks, clock.now())
    if (failed !== null) tellFailed(gauges, failed)
    if (stored !== null) tellStored(gauges, stored)
  }
}

type Gauges = ReturnType<typeof databaseGauges>

function databaseGauges(registry: Registry) {
  const registers = [registry]
  return {
    up: new Gauge({
      name: 'videoflix_database_up',
      help: 'Whether the database answers.',
      registers,
    }),
    tasks: new Gauge({
      name: 'videoflix_tasks',
      help: 'Tasks in the database by kind and state: waiting for their time, due, running, failed (kept for a week).',
      labelNames: ['kind', 'state'] as const,
      registers,
    }),
    age: new Gauge({
      name: 'videoflix_queue_age_seconds',
      help: 'For how long the oldest task of a lane has been due without being run; 0 when none is.',
      labelNames: ['lane'] as const,
      registers,
    }),
    stored: new Gauge({
      name: 'videoflix_storage_bytes',
      help: 'Bytes in the stores, by what the database says.',
      labelNames: ['store'] as const,
      registers,
    }),
  }
}

function tellTasks(gauges: Gauges, groups: TaskGroup[]): void {
  for (const kind of KINDS) for (const state of STATES) gauges.tasks.set({ kind, state }, 0)
  for (const { kind, state, count } of groups) gauges.tasks.set({ kind, state }, count)
}

function tellFailed(gauges: Gauges, failed: Map<string, number>): void {
  const state = 'failed'
  for (const kind of KINDS) gauges.tasks.set({ kind, state }, failed.get(kind) ?? 0)
}

function tellAges(gauges: Gauges, groups: TaskGroup[], now: Date): void {
  const ages: Record<string, number> = {}
  for (const { kind, state, dueSince } of groups) {
    if (state !== 'due') continue
    const lane: Lane = laneOf(kind as TaskKind)
    ages[lane] = Math.max(ages[lane] ?? 0, (now.getTime() - dueSince.getTime()) / 1000)
  }
  for (const lane of Object.keys(LANES)) gauges.age.set({ lane }, ages[lane] ?? 0)
}

function tellStored(gauges: Gauges, { originals, media }: StoredBytes): void {
  gauges.stored.set({ store: 'originals' }, originals)
  gauges.stored.set({ store: 'media' }, media)
}

function watchRedis(registry: Registry, redis: RedisLink): void {
  const up = new Gauge({
    name: 'videoflix_redis_up',
    help: 'Whether this process is connected to Redis.',
    registers: [],
    collect() {
      this.set(redis.commands.status === 'ready' ? 1 : 0)
    },
  })
  registry.registerMetric(up)
}

/** SQLite has one connection, which nobody waits for. */
function watchPool(registry: Registry, db: Database): void {
  if (poolUse(db) === null) return
  const connections = new Gauge({
    name: 'videoflix_database_connections',
    help: 'Connections of this process to PostgreSQL by what they do; `waiting` are those who wait for one.',
    labelNames: ['state'] as const,
    registers: [],
    collect() {
      const use = poolUse(db)
      if (use === null) return
      this.set({ state: 'in_use' }, use.inUse)
      this.set({ state: 'idle' }, use.idle)
      this.set({ state: 'waiting' }, use.waiting)
    },
  })
  registry.registerMetric(connections)
}
