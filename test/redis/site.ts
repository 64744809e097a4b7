import { expect } from 'vitest'
import { ADMIN, aPersonAt, elsewhere, OPEN_ENV, signIn } from '../attacks/servers.ts'
import type { Backend } from '../harness/app.ts'
import type { Child } from '../harness/child.ts'
import type { Client } from '../harness/client.ts'
import { startPostgres } from '../harness/postgres.ts'
import { startCli, startServer, type ServerProcess } from '../harness/process.ts'
import { sendToRedis, startRedis, type Redis } from '../harness/redis.ts'
import { temporaryFolder } from '../harness/temporary-folder.ts'
import { until } from '../videos/library.ts'

/** Two servers and a worker on one database, one folder and one Redis: processes of their own, as they are deployed. */
export interface Site extends AsyncDisposable {
  redis: Redis
  servers: [ServerProcess, ServerProcess]
  worker: Child
  /** Signed in at the first server. */
  superuser: Client
  /** Waits until all three hear each other. */
  heard(): Promise<void>
}

const BELL = 'videoflix:0:bell:sessions'

export async function startSite(backend: Backend, more: Record<string, string>): Promise<Site> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder())
  const redis = stack.use(await startRedis())
  const postgres = backend === 'postgres' ? stack.use(await startPostgres()) : null
  const env = {
    ...OPEN_ENV,
    DATA_DIR: folder.path,
    REDIS_URL: redis.url,
    ...(postgres && { DATABASE_URL: await postgres.databaseUrl() }),
    ...more,
  }
  const one = stack.use(await startServer({ env }))
  const other = stack.use(await startServer({ env }))
  const worker = startCli({ args: ['worker'], env })
  stack.defer(() => worker.stop())
  await until(() => worker.output().includes('waiting for tasks'), 'the worker waits for tasks')
  const heard = async () => {
    // It tells to how many it was sent.
    const isHeard = async () => (await sendToRedis(redis.port, `PUBLISH ${BELL} test`)) === ':3'
    await until(() => isHeard().catch(() => false), 'all three listen')
  }
  await heard()
  const superuser = await signIn(one.url, ADMIN)
  const rest = stack.move()
  return {
    redis,
    servers: [one, other],
    worker,
    superuser,
    heard,
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  }
}

/** How long an access token lives at the second server after its owner has signed out at the first. */
export async function lifeAfterLogout({ servers: [one, other] }: Site): Promise<number> {
  const client = await signIn(one.url, await aPersonAt(one.url))
  const there = elsewhere(client, other.url)
  const statusThere = async () => (await there.get('/content/')).status
  // The other server will believe this check for two seconds.
  expect(await statusThere()).toBe(200)
  expect((await client.post('/users/logout/')).status).toBeLessThan(300)
  const begun = performance.now()
  await until(async () => (await statusThere()) === 401, 'the token is dead at the other server')
  return performance.now() - begun
}

/** How long the second server shows its list from before a change at the first. */
export async function ageOfList(site: Site, id: number, title: string): Promise<number> {
  const there = elsewhere(site.superuser, site.servers[1].url)
  const listThere = async () => await (await there.get('/content/')).text()
  // The other server will believe this list for five seconds.
  expect(await listThere()).not.toContain(title)
  expect((await site.superuser.patch(`/admin/api/videos/${id}/`, { title })).status).toBe(200)
  const begun = performance.now()
  await until(async () => (await listThere()).includes(title), 'the other server shows the change')
  return performance.now() - begun
}

export const linesWith = (child: Child, words: string): string[] =>
  child
    .output()
    .split('\n')
    .filter((line) => line.includes(words))
