import { fileURLToPath } from 'node:url'
import { makeWorkerUtils } from 'graphile-worker'
import { sql } from 'kysely'
import { pino } from 'pino'
import { databaseSettings } from '../../server/src/config/database-settings.ts'
import { openDatabase, transact, type Database } from '../../server/src/db/database.ts'
import { migrate } from '../../server/src/db/migrate.ts'
import { redisDoorbell } from '../../server/src/ports/doorbell/redis.ts'
import { openRedis } from '../../server/src/ports/redis/redis.ts'
import { enqueue } from '../../server/src/tasks/queue.ts'
import { BENCH_PREFIX } from './crew.ts'

/** A way to hand trivial tasks to workers, in a database of its own. */
export interface Queue extends AsyncDisposable {
  /** Of its workers. */
  script: string
  databaseUrl: string
  db: Database
  /** Commits a task, in a transaction of its own as an upload does, and lets workers know. */
  add(number: number): Promise<void>
}

const scriptOf = (name: string): string => fileURLToPath(new URL(`./${name}`, import.meta.url))

export async function openDatabaseAt(url: string): Promise<Database> {
  return await openDatabase(databaseSettings({ DATABASE_URL: url }, '/nowhere'))
}

export async function ourQueue(databaseUrl: string, redisUrl: string): Promise<Queue> {
  const db = await openDatabaseAt(databaseUrl)
  await migrate(db, 'postgres')
  const redis = openRedis({ url: redisUrl, keyPrefix: BENCH_PREFIX }, pino({ level: 'error' }))
  const doorbell = redisDoorbell(redis)
  return {
    script: scriptOf('our-workers.ts'),
    databaseUrl,
    db,
    async add(number) {
      const payload = { videoId: number, originalKeys: [] }
      const options = { subject: `video:${number}`, now: new Date() }
      await transact(db, (trx) => enqueue(trx, 'tidy_video', payload, options))
      doorbell.ring('tasks')
    },
    async [Symbol.asyncDispose]() {
      await doorbell.close()
      redis.close()
      await db.destroy()
    },
  }
}

/** graphile-worker: the quickest we know of that keeps its jobs in PostgreSQL, so that they are as safe as ours. */
export async function peerQueue(databaseUrl: string): Promise<Queue> {
  const db = await openDatabaseAt(databaseUrl)
  const utils = await makeWorkerUtils({ connectionString: databaseUrl })
  await utils.migrate()
  await utils.release()
  return {
    script: scriptOf('peer-workers.ts'),
    databaseUrl,
    db,
    async add(number) {
      const payload = JSON.stringify({ number })
      await transact(db, (trx) =>
        sql`select graphile_worker.add_job('end', ${payload}::json)`.execute(trx),
      )
    },
    [Symbol.asyncDispose]: () => db.destroy(),
  }
}
