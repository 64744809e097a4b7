import { openAsBlob, statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { GetObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3'
import { sql } from 'kysely'
import type { Database } from '../../server/src/db/database.ts'
import { startChild } from '../../test/harness/child.ts'
import { Client } from '../../test/harness/client.ts'
import { startPostgres } from '../../test/harness/postgres.ts'
import { startServer } from '../../test/harness/process.ts'
import { startRedis } from '../../test/harness/redis.ts'
import { startS3 } from '../../test/harness/s3.ts'
import { temporaryFolder } from '../../test/harness/temporary-folder.ts'
import { startCountingProxy } from './counting-proxy.ts'
import { instant, treeCpuSeconds } from './cpu.ts'
import type { MeasuredStep } from './model.ts'
import { connectionsOf, postmasterOf } from './postmaster.ts'
import { openDatabaseAt } from './queues.ts'
import { criticalPath, stepsOf } from './steps.ts'

/** PostgreSQL, Redis, S3, and a server that does not work itself; workers come and go. */
export interface Site extends AsyncDisposable {
  /** Uploads a film, has it processed by a worker on each of these cores, and tells how that went. */
  process(film: { path: string; filmSeconds: number; cores: number[] }): Promise<FilmRun>
  /** How long fetching the last source from S3 takes. */
  downloadSeconds(): Promise<number>
}

export interface FilmRun {
  workers: number
  filmSeconds: number
  sourceBytes: number
  /** From the start of the first step to the end of the last. */
  wallSeconds: number
  steps: (MeasuredStep & { possibleAt: number })[]
  /** Names of steps: each ended last of those that the next one waited for. */
  criticalPath: string[]
  tasks: number
  fromStoreBytes: number
  toStoreBytes: number
  transactions: number
  postgresSeconds: number
  /** Of all workers to PostgreSQL. */
  connections: number
}

const CLI = fileURLToPath(new URL('../../server/src/main/cli.ts', import.meta.url))
const ADMIN = { email: 'bench@example.com', password: 'bench-password-1' }
/** So that a film of some minutes is shared out as a long one is. */
const CHUNKS_FROM_S = 60
const POLL_MS = 1000
const LONGEST_MS = 20 * 60_000

export async function startSite(): Promise<Site> {
  await using stack = new AsyncDisposableStack()
  const postgres = stack.use(await startPostgres({ isUsual: true }))
  const redis = stack.use(await startRedis())
  const s3 = stack.use(await startS3())
  const proxy = stack.use(await startCountingProxy(s3.endpoint))
  const databaseUrl = await postgres.databaseUrl()
  const bucket = await s3.bucket()
  const env = {
    DEBUG: 'True',
    LOG_LEVEL: 'warn',
    SECRET_KEY: 'a secret of the bench, which protects nothing at all',
    DATABASE_URL: databaseUrl,
    REDIS_URL: redis.url,
    TRANSCODE_LOCALLY: 'False',
    JOB_CONCURRENCY: '1',
    CHUNK_MIN_DURATION: String(CHUNKS_FROM_S),
    DJANGO_SUPERUSER_EMAIL: ADMIN.email,
    DJANGO_SUPERUSER_PASSWORD: ADMIN.password,
    ...(await s3.env(bucket)),
  }
  const server = stack.use(await startServer({ env }))
  const db = await openDatabaseAt(databaseUrl)
  stack.defer(() => db.destroy())
  const root = await postmasterOf(db)
  const client = new Client(server.url)

  /** A machine of its own, as far as it can tell: one core, a folder, and no way past the counting one to S3. */
  async function startWorker(core: number): Promise<AsyncDisposable> {
    const folder = await temporaryFolder()
    const { PATH, HOME } = process.env
    const own = { ...env, DATA_DIR: folder.path, AWS_S3_ENDPOINT_URL: proxy.endpoint }
    const child = startChild('taskset', ['-c', String(core), process.execPath, CLI, 'worker'], {
      env: { PATH, HOME, ...own },
    })
    return {
      async [Symbol.asyncDispose]() {
        await child.stop()
        if (child.output() !== '') console.log(child.output())
        await folder.remove()
      },
    }
  }

  async function run(film: {
    path: string
    filmSeconds: number
    cores: number[]
  }): Promise<FilmRun> {
    const videoId = await upload(client, film.path)
    const before = await countersOf(db)
    const [from, to, cpu] = [proxy.fromBytes(), proxy.toBytes(), treeCpuSeconds(root)]
    const idle = await connectionsOf(db)
    await using workers = new AsyncDisposableStack()
    for (const core of film.cores) workers.use(await startWorker(core))
    const connections = (await untilReady(db, videoId)) - idle
    const steps = await stepsOf(db, videoId)
    const after = await countersOf(db)
    return {
      workers: film.cores.length,
      filmSeconds: film.filmSeconds,
      sourceBytes: statSync(film.path).size,
      wallSeconds: Math.max(...steps.map(({ endedAt }) => endedAt)),
      steps,
      criticalPath: criticalPath(steps),
      tasks: after.tasks - before.tasks,
      fromStoreBytes: proxy.fromBytes() - from,
      toStoreBytes: proxy.toBytes() - to,
      transactions: after.transactions - before.transactions,
      postgresSeconds: treeCpuSeconds(root) - cpu,
      connections,
    }
  }

  async function downloadSeconds(): Promise<number> {
    const { Contents = [] } = await s3.client.send(
      new ListObjectsV2Command({ Bucket: bucket, Prefix: 'originals/' }),
    )
    const begun = instant()
    const object = await s3.client.send(
      new GetObjectCommand({ Bucket: bucket, Key: Contents[0]?.Key ?? '' }),
    )
    await object.Body?.transformToByteArray()
    return (instant() - begun) / 1000
  }

  const rest = stack.move()
  return { process: run, downloadSeconds, [Symbol.asyncDispose]: () => rest.disposeAsync() }
}

async function upload(client: Client, path: string): Promise<number> {
  await client.post('/users/login/', ADMIN)
  const form = new FormData()
  form.set('title', `A film of ${Date.now()}`)
  form.set('video_file', await openAsBlob(path), 'film.mp4')
  const reply = await client.request('/admin/api/videos/', { method: 'POST', body: form })
  if (reply.status !== 201) throw new Error(`upload: ${reply.status} ${await reply.text()}`)
  return ((await reply.json()) as { id: number }).id
}

/** Returns the most connections to PostgreSQL that were open meanwhile. */
async function untilReady(db: Database, videoId: number): Promise<number> {
  const deadline = Date.now() + LONGEST_MS
  let most = 0
  while (Date.now() < deadline) {
    const source = await db
      .selectFrom('sources')
      .select(['state', 'error_message'])
      .where('video_id', '=', videoId)
      .executeTakeFirstOrThrow()
    if (source.state === 'error') throw new Error(source.error_message ?? 'error')
    if (source.state === 'ready') return most
    most = Math.max(most, await connectionsOf(db))
    await sleep(POLL_MS)
  }
  throw new Error(`the film is not ready after ${LONGEST_MS / 60_000} minutes`)
}

async function countersOf(db: Database): Promise<{ tasks: number; transactions: number }> {
  const { rows } = await sql<{ tasks: number; transactions: number }>`
    select (select coalesce(max(id), 0) from tasks) as tasks, xact_commit as transactions
    from pg_stat_database where datname = current_database()`.execute(db)
  return rows[0] ?? { tasks: 0, transactions: 0 }
}
