import { pino } from 'pino'
import { createApp, type App } from '../../server/src/app.ts'
import { readSettings, type Settings } from '../../server/src/config/settings.ts'
import { migrate } from '../../server/src/db/migrate.ts'
import type { Server } from '../../server/src/http/server.ts'
import type { Clock } from '../../server/src/ports/clock.ts'
import type { Worker } from '../../server/src/tasks/worker.ts'
import { Client } from './client.ts'
import { freePort } from './free-port.ts'
import { has } from './programs.ts'
import { startPostgres } from './postgres.ts'
import { startRedis } from './redis.ts'
import { startS3, type S3 } from './s3.ts'
import { temporaryFolder } from './temporary-folder.ts'

/** A clock that a test moves. It starts at the real time, because cookies and signatures are real. */
export class TestClock implements Clock {
  #offsetMs = 0
  now(): Date {
    return new Date(Date.now() + this.#offsetMs)
  }
  advance(ms: number): void {
    this.#offsetMs += ms
  }
}

export const SUPERUSER = { email: 'admin@example.com', password: 'correct horse battery' }

/** The whole program in this process: the real app on a real database and a real port, with a worker. */
export interface TestApp extends AsyncDisposable {
  app: App
  server: Server
  worker: Worker
  settings: Settings
  /** With `media: 's3'`. */
  s3: S3 | null
  clock: TestClock
  /** Without a slash at its end. */
  origin: string
  /** Log lines, parsed. */
  logs: Record<string, unknown>[]
  /** A client without cookies. */
  client(): Client
  /** A client signed in as SUPERUSER. */
  superuser(): Promise<Client>
  /** A client signed in as a new viewer. */
  viewer(email?: string): Promise<Client>
  stop(): Promise<void>
}

/** The databases every journey runs on; PostgreSQL with a Redis beside it, as it is deployed. */
export const BACKENDS = has('postgres') ? (['sqlite', 'postgres'] as const) : (['sqlite'] as const)
export type Backend = (typeof BACKENDS)[number]

const UNLIMITED = {
  RATE_LIMIT_LOGIN: '100000/min',
  RATE_LIMIT_LOGIN_ACCOUNT: '100000/min',
  RATE_LIMIT_REGISTER: '100000/min',
  RATE_LIMIT_FORGOT: '100000/min',
  RATE_LIMIT_EMAIL_EXISTS: '100000/min',
}

export async function startApp(
  options: { backend?: Backend; media?: 'local' | 's3'; env?: Record<string, string> } = {},
): Promise<TestApp> {
  const { backend = 'sqlite', media = 'local', env = {} } = options
  const folder = await temporaryFolder()
  const postgres = backend === 'postgres' ? await startPostgres() : null
  const redis = backend === 'postgres' && has('redis') ? await startRedis() : null
  const s3 = media === 's3' ? await startS3() : null
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  const { settings } = readSettings(
    {
      DATA_DIR: folder.path,
      PORT: String(port),
      DEBUG: 'True',
      MIN_FREE_DISK_BYTES: '0',
      ...UNLIMITED,
      ...(postgres && { DATABASE_URL: await postgres.databaseUrl() }),
      ...(redis && { REDIS_URL: redis.url }),
      ...(s3 && (await s3.env())),
      ...env,
    },
    folder.path,
  )
  const logs: Record<string, unknown>[] = []
  const log = pino(
    { level: 'debug', base: null },
    { write: (line: string) => void logs.push(JSON.parse(line) as Record<string, unknown>) },
  )
  const clock = new TestClock()
  const app = await createApp({ settings, backendOrigin: origin, log, clock })
  await migrate(app.db, settings.database.kind)
  if (!(await app.accounts.emailExists(SUPERUSER.email))) {
    await app.accounts.createSuperuser({ ...SUPERUSER, username: null })
  }
  const server = await app.createServer()
  await server.listen(settings.listen)
  const worker = app.createWorker({ pid: process.pid, isRunning: () => true })
  worker.start()

  const client = (): Client => new Client(origin)
  const signedIn = async (credentials: { email: string; password: string }): Promise<Client> => {
    const user = client()
    const reply = await user.post('/users/login/', credentials)
    if (reply.status !== 200) throw new Error(`login failed: ${await reply.text()}`)
    return user
  }
  const stop = async (): Promise<void> => {
    await server.close()
    await worker.drain()
    await app.close()
    await postgres?.stop()
    await redis?.stop()
    await s3?.stop()
    await folder.remove()
  }
  let viewers = 0
  return {
    app,
    server,
    worker,
    settings,
    s3,
    clock,
    origin,
    logs,
    client,
    superuser: () => signedIn(SUPERUSER),
    async viewer(email = `viewer${(viewers += 1)}@example.com`) {
      const password = 'a viewer’s own password'
      await client().post('/users/register/', { email, password, confirm_password: password })
      await app.db
        .updateTable('users')
        .set({ is_active: true })
        .where('email', '=', email)
        .execute()
      return await signedIn({ email, password })
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}
