import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { startCli } from '../harness/process.ts'
import type { Child } from '../harness/child.ts'
import { Client } from '../harness/client.ts'
import { freePort } from '../harness/free-port.ts'
import { startPostgres, type Postgres } from '../harness/postgres.ts'
import { startRedis, type Redis } from '../harness/redis.ts'
import { startS3, type S3 } from '../harness/s3.ts'
import { temporaryFolder } from '../harness/temporary-folder.ts'
import { untilReady } from '../harness/wait.ts'

export const SUPERUSER = { email: 'admin@example.com', password: 'correct horse battery' }

/** `videoflix serve` or `videoflix worker`: a process that ends and begins again, on the same folder and port. */
export interface Member {
  /** `server 1`, `worker 3`. */
  name: string
  dataDir: string
  /** Of its present or last life. */
  pid(): number
  isRunning(): boolean
  /** `kill -9` of it and of all it has started, and waits for the end. Does nothing when it has ended. */
  kill(): Promise<void>
  /** SIGSTOP and SIGCONT, of what it has started too. */
  freeze(): void
  thaw(): void
  /** SIGTERM, and how it ended. */
  end(): Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  /** Another life, with further settings; resolves when it is ready. Throws when it cannot be. */
  start(env?: Record<string, string>): Promise<void>
  /** Runs another command of ours with its settings, to its end. */
  run(
    args: string[],
    env?: Record<string, string>,
  ): Promise<{ code: number | null; output: string }>
  /** All that it has printed in all its lives. */
  output(): string
}

export interface ServerMember extends Member {
  /** Without a slash at its end. */
  url: string
}

export interface SiteOptions {
  servers?: number
  workers?: number
  /**
   * `bucket` (Ceph, ask `hasS3` first): nothing is shared but PostgreSQL, Redis and S3, every member has a DATA_DIR of
   * its own. `folder`: all have the same one.
   */
  media?: 'bucket' | 'folder'
  /** What they have in place of the endpoint of S3: that of a proxy in front of it. */
  s3EndpointOf?: (endpoint: string) => Promise<string>
  /** Settings of all of them, over those of this file. */
  env?: Record<string, string>
  /** Settings of one of them, over all others: another endpoint, a DATA_DIR on a small disk. Asked at every start. */
  envOf?: (name: string) => Record<string, string>
}

/**
 * A site of several machines: private PostgreSQL, Redis and S3, servers without a worker inside, and workers, all of them
 * child processes. All members start at once, on an empty database.
 *
 *     await using site = await startSite({ servers: 2, workers: 2, media: 'bucket' })
 *     await site.workers[0].kill()
 *     await site.postgres.kill()
 *     await site.postgres.comeBack()
 *     await site.workers[0].start()
 */
export interface Site extends AsyncDisposable {
  postgres: Postgres
  redis: Redis
  /** Null with `media: 'folder'`. */
  s3: S3 | null
  /** Its name; null with `media: 'folder'`. */
  bucket: string | null
  servers: ServerMember[]
  workers: Member[]
  /** Where all lies that members keep on disk. */
  folder: string
  /** Signed in as SUPERUSER at this server, the first unless told. */
  superuser(server?: ServerMember): Promise<Client>
}

const ENOUGH = '100000/min'

/** Leases and sweeps are short, so that what is lost is found soon. */
const SITE_ENV = {
  HOST: '127.0.0.1',
  DEBUG: 'True',
  LOG_LEVEL: 'info',
  MIN_FREE_DISK_BYTES: '0',
  TRANSCODE_LOCALLY: 'False',
  JOB_LEASE: '3',
  JOB_SWEEP_INTERVAL: '1',
  RATE_LIMIT_LOGIN: ENOUGH,
  RATE_LIMIT_LOGIN_ACCOUNT: ENOUGH,
  RATE_LIMIT_REGISTER: ENOUGH,
  RATE_LIMIT_FORGOT: ENOUGH,
  RATE_LIMIT_EMAIL_EXISTS: ENOUGH,
  DJANGO_SUPERUSER_EMAIL: SUPERUSER.email,
  DJANGO_SUPERUSER_PASSWORD: SUPERUSER.password,
}

export async function startSite(options: SiteOptions = {}): Promise<Site> {
  const { servers: serverCount = 2, workers: workerCount = 2, media = 'folder' } = options
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder())
  const postgres = stack.use(await startPostgres())
  const redis = stack.use(await startRedis())
  const s3 = media === 'bucket' ? stack.use(await startS3()) : null
  const ofBucket = s3 && (await s3.env())
  if (s3 && ofBucket && options.s3EndpointOf) {
    ofBucket['AWS_S3_ENDPOINT_URL'] = await options.s3EndpointOf(s3.endpoint)
  }
  const common = {
    ...SITE_ENV,
    SECRET_KEY: randomBytes(32).toString('base64url'),
    DATABASE_URL: await postgres.databaseUrl(),
    REDIS_URL: redis.url,
    ...ofBucket,
    ...options.env,
  }

  async function prepare(name: string, env: Record<string, string>): Promise<Preparation> {
    const dataDir = s3 ? join(folder.path, name.replace(' ', '-')) : join(folder.path, 'shared')
    const settings = { ...common, DATA_DIR: dataDir, ...env }
    await mkdir(settings.DATA_DIR, { recursive: true })
    return { name, settings: () => ({ ...settings, ...options.envOf?.(name) }) }
  }
  const servers: ServerMember[] = []
  for (let number = 1; number <= serverCount; number += 1) {
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    const preparation = await prepare(`server ${number}`, { PORT: `${port}` })
    // Whatever it answers: it listens.
    const isReady = async (): Promise<boolean> => (await fetch(`${url}/health/`)).status > 0
    servers.push(Object.assign(createMember('serve', preparation, isReady), { url }))
  }
  const workers: Member[] = []
  for (let number = 1; number <= workerCount; number += 1) {
    const isReady = async (child: Child): Promise<boolean> =>
      child.output().includes('waiting for tasks')
    workers.push(createMember('worker', await prepare(`worker ${number}`, {}), isReady))
  }
  const members = [...servers, ...workers]
  stack.defer(async () => {
    await Promise.all(members.map((member) => member.kill()))
  })
  await Promise.all(members.map((member) => member.start()))

  async function superuser(server = servers[0]): Promise<Client> {
    if (!server) throw new Error('there is no server to sign in at')
    const client = new Client(server.url)
    const reply = await client.post('/users/login/', SUPERUSER)
    if (reply.status !== 200) throw new Error(`login: ${reply.status} ${await reply.text()}`)
    return client
  }

  const rest = stack.move()
  return {
    postgres,
    redis,
    s3,
    bucket: ofBucket?.['AWS_STORAGE_BUCKET_NAME'] ?? null,
    servers,
    workers,
    folder: folder.path,
    superuser,
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  }
}

interface Preparation {
  name: string
  settings: () => Record<string, string>
}

function createMember(
  role: 'serve' | 'worker',
  { name, settings }: Preparation,
  isReady: (child: Child) => Promise<boolean>,
): Member {
  let child: Child | undefined
  const earlier: string[] = []
  function alive(): Child {
    if (!child) throw new Error(`${name} has not been started`)
    return child
  }
  return {
    name,
    dataDir: settings()['DATA_DIR'] ?? '',
    pid: () => alive().pid,
    isRunning: () => child !== undefined && !child.hasExited(),
    async kill() {
      child?.kill('SIGKILL')
      await child?.exited
    },
    freeze: () => alive().kill('SIGSTOP'),
    thaw: () => alive().kill('SIGCONT'),
    async end() {
      process.kill(alive().pid, 'SIGTERM')
      return await alive().exited
    },
    async start(env = {}) {
      if (child) earlier.push(child.output())
      const born = startCli({ args: [role], env: { ...settings(), ...env } })
      child = born
      await untilReady(born, () => isReady(born))
    },
    async run(args, env = {}) {
      const command = startCli({ args, env: { ...settings(), ...env } })
      const { code } = await command.exited
      return { code, output: command.output() }
    },
    output: () => [...earlier, child?.output() ?? ''].join('\n'),
  }
}
