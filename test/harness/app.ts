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
import type { S3Service } from './s3.ts'
import { startServices } from './services.ts'
import { temporaryFolder } from './temporary-folder.ts'

export { mediaOf } from './services.ts'

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

/** As `main/` tells it. */
export const THIS_PROCESS = { pid: process.pid, memoryBytes: 2 ** 31, isRunning: () => true }

/** The whole program in this process: the real app on a real database and a real port, with a worker. */
export interface TestApp extends AsyncDisposable {
  app: App
  server: Server
  worker: Worker
  settings: Settings
  /** Null where media is local. */
  s3: S3Service | null
  clock: TestClock
  /** Without a slash at its end. */
  origin: string
  /** What URLs of media begin with. */
  mediaUrl: string
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

/** What every journey runs on: all in one process and a folder, and on PostgreSQL, Redis and S3, as it is deployed. */
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
  options: {
    backend?: Backend
    /** S3 is the one that all journeys share, unless another is given. */
    media?: 'local' | 's3' | S3Service
    env?: Record<string, string>
  } = {},
): Promise<TestApp> {
  const { backend = 'sqlite', media, env = {} } = options
  const folder = await temporaryFolder()
  const services = await startServices(backend, media)
  const { s3 } = services
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  const { settings } = readSettings(
    {
      DATA_DIR: folder.path,
      PORT: String(port),
      DEBUG: 'True',
      MIN_FREE_DISK_BYTES: '0',
      JOB_CONCURRENCY: '1',
      ...UNLIMITED,
      ...services.env,
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
  const backendOrigin = env['BACKEND_ORIGIN'] ?? origin
  const app = await createApp({ settings, backendOrigin, log, clock })
  await migrate(app.db, settings.database.kind)
  if (!(await app.accounts.emailExists(SUPERUSER.email))) {
    await app.accounts.createSuperuser({ ...SUPERUSER, username: null })
  }
  const server = await app.createServer(THIS_PROCESS)
  await server.listen(settings.listen)
  const worker = app.createWorker(THIS_PROCESS)
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
    await services.stop()
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
    mediaUrl: s3 ? `${s3.endpoint}/${settings.s3?.bucket}/media/` : `${origin}/media/`,
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
