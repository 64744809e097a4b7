import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { readSettings } from '../../server/src/config/settings.ts'
import { systemClock } from '../../server/src/ports/clock.ts'
import { redisDoorbell } from '../../server/src/ports/doorbell/redis.ts'
import { openRedis } from '../../server/src/ports/redis/redis.ts'
import { newOwner } from '../../server/src/tasks/owner.ts'
import { servedKinds } from '../../server/src/tasks/served-kinds.ts'
import type { Handlers, TaskHandler } from '../../server/src/tasks/task.ts'
import { createWorker, type Worker } from '../../server/src/tasks/worker.ts'
import { BENCH_PREFIX } from './crew.ts'
import { begin, order, ran } from './crew-member.ts'
import { openDatabaseAt } from './queues.ts'

/** Workers of ours, whose tasks do nothing but end. Each has its own connections, as it has on a machine of its own. */

const ending: TaskHandler<'tidy_video'> = {
  async run(task) {
    ran(task.payload.videoId)
    await task.commit(() => Promise.resolve())
  },
  giveUp: () => Promise.resolve(),
}
/** No other kind is written here. */
const handlers = { tidy_video: ending } as Handlers

const { settings } = readSettings({ DEBUG: 'True' }, '/nowhere')
const log = pino({ level: 'error' })
const workers = await Promise.all(
  Array.from({ length: order.workers }, (_, index) => startWorker(index)),
)
begin(async () => void (await Promise.all(workers.map((worker) => worker.drain()))))

async function startWorker(index: number): Promise<Worker> {
  const db = await openDatabaseAt(order.databaseUrl)
  const redis = openRedis({ url: order.redisUrl, keyPrefix: BENCH_PREFIX }, log)
  const doorbell = redisDoorbell(redis)
  while (redis.subscriptions.mode !== 'subscriber') await sleep(10)
  await redis.subscriptions.ping()
  const worker = createWorker({
    db,
    clock: systemClock,
    doorbell,
    log,
    handlers,
    // A ring that a busy machine loses is made good by the sweep.
    settings: { ...settings.tasks, sweepIntervalMs: 5000 },
    kinds: servedKinds(null),
    encodings: 1,
    // Two of one process are not an earlier and a later run of it.
    owner: newOwner(1000 * process.pid + index),
    isRunning: () => true,
  })
  worker.start()
  return worker
}
