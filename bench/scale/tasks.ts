import { setTimeout as sleep } from 'node:timers/promises'
import { startPostgres, type Postgres } from '../../test/harness/postgres.ts'
import { startRedis } from '../../test/harness/redis.ts'
import { startCrew } from './crew.ts'
import { instant, treeCpuSeconds } from './cpu.ts'
import { connectionsOf, postmasterOf } from './postmaster.ts'
import { openDatabaseAt, ourQueue, peerQueue, type Queue } from './queues.ts'
import { keep, median, quantile, rounded, title, verdict } from './report.ts'

/**
 * Tasks that do nothing, from the commit that writes them to the commit that ends them, through PostgreSQL and Redis; and
 * the same through graphile-worker, on the same PostgreSQL, which writes to the disk at every commit.
 *
 *     node bench/scale/tasks.ts [TASKS [WORKERS…]]
 */

const [TASKS = 2000, ...asked] = process.argv.slice(2).map(Number)
const WORKERS = asked.length > 0 ? asked : [1, 2, 4, 8, 16, 32, 100]
/** Transactions that write tasks, at once. */
const WRITERS = 16
const PACED = 60
/** So long that all have looked before the next one comes. */
const paceMs = (workers: number): number => Math.max(50, 2 * workers)

/** What one task costs with so many workers. */
export interface TaskCost {
  workers: number
  perSecond: number
  /** From the commit to the start, when nothing else is due. */
  startMs: { p50: number; p99: number }
  /** Of the workers; who writes a task sends three. */
  statements: number
  postgresMs: number
  workerMs: number
  connections: number
  /** When tasks come one by one, so that every worker looks for each. */
  paced: { statements: number; postgresMs: number }
}

await using postgres = await startPostgres({ maxConnections: 1100, isUsual: true })
await using redis = await startRedis()
const root = await rootOf(postgres)

title(`${TASKS} tasks that do nothing`)
const ours: TaskCost[] = []
const peers: TaskCost[] = []
for (const workers of WORKERS) {
  ours.push(await measure(await ourQueue(await postgres.databaseUrl(), redis.url), workers))
  peers.push(await measure(await peerQueue(await postgres.databaseUrl()), workers))
}
console.table(ours.map((cost, index) => row(cost, peers[index])))
keep('tasks', { ours, peers })
const ratios = ours.map((cost, index) => cost.perSecond / (peers[index]?.perSecond ?? Number.NaN))
verdict('tasks/s, to graphile-worker, median', median(ratios), { atLeast: 0.5 })
const last = ours.at(-1)
verdict(
  'statements for a task that comes alone, for each worker, with the most of them',
  (last?.paced.statements ?? Number.NaN) / (last?.workers ?? Number.NaN),
  { atMost: last?.workers === 1 ? 12 : 4 },
)

async function measure(opened: Queue, workers: number): Promise<TaskCost> {
  await using queue = opened
  const order = { databaseUrl: queue.databaseUrl, redisUrl: redis.url, workers }
  await using crew = await startCrew(queue.script, order)
  await writeTasks(queue, 1, 50)
  await crew.untilRan(50)

  const before = { ...(await crew.report()), cpu: crew.cpuSeconds(), pg: treeCpuSeconds(root) }
  const begun = instant()
  await writeTasks(queue, 1000, TASKS)
  await crew.untilRan(50 + TASKS)
  const flooded = { ...(await crew.report()), cpu: crew.cpuSeconds(), pg: treeCpuSeconds(root) }
  const ended = Math.max(...flooded.runs.map(({ at }) => at))
  const connections = await connectionsOf(queue.db)

  await sleep(500)
  const quiet = { ...(await crew.report()), pg: treeCpuSeconds(root) }
  const committedAt = await writePaced(queue, 1_000_000, paceMs(workers))
  await crew.untilRan(50 + TASKS + PACED)
  await sleep(500)
  const paced = { ...(await crew.report()), pg: treeCpuSeconds(root) }
  const waits = paced.runs.flatMap(({ number, at }) => at - (committedAt.get(number) ?? Infinity))
  const known = waits.filter(Number.isFinite)
  return {
    workers,
    perSecond: TASKS / ((ended - begun) / 1000),
    startMs: { p50: median(known), p99: quantile(known, 0.99) },
    statements: (flooded.statements - before.statements) / TASKS,
    postgresMs: ((flooded.pg - before.pg) * 1000) / TASKS,
    workerMs: ((flooded.cpu - before.cpu) * 1000) / TASKS,
    connections,
    paced: {
      statements: (paced.statements - quiet.statements) / PACED,
      postgresMs: ((paced.pg - quiet.pg) * 1000) / PACED,
    },
  }
}

async function writeTasks(queue: Queue, first: number, count: number): Promise<void> {
  let next = first
  const write = async (): Promise<void> => {
    while (next < first + count) await queue.add(next++)
  }
  await Promise.all(Array.from({ length: WRITERS }, write))
}

/** Returns when each was committed. */
async function writePaced(
  queue: Queue,
  first: number,
  everyMs: number,
): Promise<Map<number, number>> {
  const committedAt = new Map<number, number>()
  for (let number = first; number < first + PACED; number += 1) {
    await queue.add(number)
    committedAt.set(number, instant())
    await sleep(everyMs)
  }
  return committedAt
}

async function rootOf(server: Postgres): Promise<number> {
  const db = await openDatabaseAt(await server.databaseUrl())
  const root = await postmasterOf(db)
  await db.destroy()
  return root
}

function row(cost: TaskCost, peer: TaskCost | undefined) {
  return {
    workers: cost.workers,
    'tasks/s': Math.round(cost.perSecond),
    'peer, tasks/s': Math.round(peer?.perSecond ?? 0),
    ratio: rounded(cost.perSecond / (peer?.perSecond ?? Number.NaN)),
    'start, p50 ms': rounded(cost.startMs.p50),
    'p99 ms': rounded(cost.startMs.p99),
    'peer, p50 ms': rounded(peer?.startMs.p50 ?? 0),
    'peer, p99 ms': rounded(peer?.startMs.p99 ?? 0),
    'statements/task': rounded(cost.statements),
    'PostgreSQL, ms/task': rounded(cost.postgresMs),
    'peer’s, ms/task': rounded(peer?.postgresMs ?? 0),
    'worker, ms/task': rounded(cost.workerMs),
    connections: cost.connections,
    'alone: statements': rounded(cost.paced.statements),
    'alone: PostgreSQL, ms': rounded(cost.paced.postgresMs),
  }
}
