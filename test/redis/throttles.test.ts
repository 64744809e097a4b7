import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startApp, type TestApp } from '../harness/app.ts'
import { freePort } from '../harness/free-port.ts'
import { has } from '../harness/programs.ts'
import { sendToRedis, startRedis, type Redis } from '../harness/redis.ts'

const SHARED = { SECRET_KEY: 'Y2xlYXJseSBub3QgYSB3ZWxsIGtub3duIGtleSwgb3IgaXMgaXQ/' }

describe.skipIf(!has('redis'))('two servers that share a Redis', () => {
  let redis: Redis
  let servers: [TestApp, TestApp]
  beforeAll(async () => {
    redis = await startRedis()
    const env = {
      ...SHARED,
      REDIS_URL: redis.url,
      RATE_LIMIT_LOGIN: '4/min',
      RATE_LIMIT_FORGOT: '4/min',
      RATE_LIMIT_LOGIN_ACCOUNT: '2/hour',
    }
    servers = [await startApp({ env }), await startApp({ env })]
    for (const { app } of servers) await app.redis?.check()
  })
  afterAll(async () => {
    for (const server of servers) await server.stop()
    await redis.stop()
  })

  const login = async (server: TestApp, email: string) =>
    (await server.client().post('/users/login/', { email, password: 'a guess' })).status
  const forgot = async (server: TestApp) =>
    (await server.client().post('/users/forgot-password/', { email: 'a@example.com' })).status
  const alternating = <T>(times: number, ask: (server: TestApp) => Promise<T>): Promise<T[]> =>
    Array.from({ length: times }, (_, at) => servers[at % 2]!).reduce(
      async (before, server) => [...(await before), await ask(server)],
      Promise.resolve<T[]>([]),
    )

  test('count requests together, and tell both when to come back', async () => {
    const statuses = await alternating(6, (server) => forgot(server))
    expect(statuses).toEqual([200, 200, 200, 200, 429, 429])
    const reply = await servers[1]
      .client()
      .post('/users/forgot-password/', { email: 'b@example.com' })
    expect(Number(reply.headers.get('retry-after'))).toBeGreaterThan(30)
    expect(Number(reply.headers.get('retry-after'))).toBeLessThanOrEqual(60)
  })

  test('count wrong passwords of an account together', async () => {
    const statuses = await alternating(4, (server) => login(server, 'victim@example.com'))
    expect(statuses).toEqual([400, 400, 400, 429])
  })

  test('keep no address of anybody there', async () => {
    expect(await sendToRedis(redis.port, `EVAL "return #redis.call('keys','*')" 0`)).not.toBe(':0')
    for (const part of ['victim', '127.0.0.1', 'example']) {
      const keys = `EVAL "return #redis.call('keys','*${part}*')" 0`
      expect([part, await sendToRedis(redis.port, keys)]).toEqual([part, ':0'])
    }
  })

  test('count each for itself without it, and together again with it', async () => {
    redis.kill('SIGKILL')
    const statuses = await alternating(12, (server) => forgot(server))
    expect(statuses.slice(0, 8)).toEqual(Array(8).fill(200))
    expect(statuses.slice(8)).toEqual(Array(4).fill(429))
    const guesses = await alternating(8, (server) => login(server, 'other@example.com'))
    expect(guesses.slice(0, 6)).toEqual(Array(6).fill(400))
    expect(guesses.slice(6)).toEqual([429, 429])
    await redis.restart()
    for (const { app } of servers) {
      const isBack = () =>
        app.redis!.check().then(
          () => true,
          () => false,
        )
      await expect.poll(isBack, { timeout: 10_000 }).toBe(true)
    }
    expect(await alternating(6, (server) => forgot(server))).toEqual([200, 200, 200, 200, 429, 429])
  })
})

test('a server starts, works and ends where the Redis that it was told of is not', async () => {
  const app = await startApp({ env: { REDIS_URL: `redis://127.0.0.1:${await freePort()}/0` } })
  const superuser = await app.superuser()
  expect((await superuser.get('/content/')).status).toBe(200)
  const health = await superuser.get('/health/')
  expect([health.status, await health.json()]).toEqual([
    503,
    { status: 'error', components: { database: 'ok', cache: 'error' } },
  ])
  const begun = performance.now()
  await app.stop()
  expect(performance.now() - begun).toBeLessThan(3000)
})
