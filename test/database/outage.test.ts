import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RouteEntry } from '../../server/src/http/route-table.ts'
import { startApp, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import { startPostgres, type Postgres } from '../harness/postgres.ts'
import { has } from '../harness/programs.ts'

/** "Within a few seconds", on a machine with much else to do. */
const PATIENCE_MS = 30_000
const SOON = { timeout: PATIENCE_MS }

describe.skipIf(!has('postgres'))('while PostgreSQL is away', () => {
  let postgres: Postgres
  let app: TestApp
  let superuser: Client
  beforeAll(async () => {
    postgres = await startPostgres()
    const env = { DATABASE_URL: await postgres.databaseUrl(), DB_STATEMENT_TIMEOUT: '2' }
    app = await startApp({ env })
    superuser = await app.superuser()
  })
  afterAll(async () => {
    await app.stop()
    await postgres.stop()
  })

  const pathOf = ({ path }: RouteEntry): string =>
    path.replace(/:[A-Za-z]+(\(.*?\))?/g, '1').replace('*', 'videos/1/1/none.mp4')

  async function ask(entry: RouteEntry): Promise<{ route: string; status: number; is: string }> {
    const { method } = entry
    const hasBody = ['POST', 'PUT', 'PATCH', 'DELETE'].includes(method)
    const reply = await superuser.request(pathOf(entry), {
      method,
      ...(hasBody && { body: '{}', headers: { 'content-type': 'application/json' } }),
      signal: AbortSignal.timeout(PATIENCE_MS),
    })
    const text = await reply.text()
    const isSentence = method === 'HEAD' || text.includes('Try again in a few seconds.')
    const isWhole = Number(reply.headers.get('retry-after')) > 0 && isSentence
    return {
      route: `${method} ${entry.path}`,
      status: reply.status,
      is: isWhole ? 'a sentence with Retry-After' : text.slice(0, 200),
    }
  }

  /** Whoever was just recognised is for two seconds. */
  const isForgotten = (): void => app.clock.advance(3000)

  /** Metrics are measured all the more. */
  const guarded = (): RouteEntry[] =>
    app.server.routeTable.entries.filter(
      ({ access, path }) => access !== 'public' && path !== '/metrics',
    )

  const login = { email: 'nobody@example.com', password: 'a password of nobody' }

  async function askAll(): Promise<void> {
    isForgotten()
    const replies = await Promise.all(guarded().map(ask))
    expect(replies.length).toBeGreaterThan(40)
    expect(
      replies.filter(({ status, is }) => status !== 503 || is !== 'a sentence with Retry-After'),
    ).toEqual([])
    const open = app.server.routeTable.entries.filter(({ access }) => access === 'public')
    const others = await Promise.all(open.map(ask))
    expect(others.filter(({ status }) => status >= 500 && status !== 503)).toEqual([])
    const signIn = await app.client().post('/users/login/', login)
    expect(signIn.status).toBe(503)
    expect(signIn.headers.get('retry-after')).toBe('5')
  }

  async function untilBack(): Promise<void> {
    isForgotten()
    await expect.poll(async () => (await superuser.get('/content/')).status, SOON).toBe(200)
  }

  const linesOf = (text: string): unknown[] =>
    app.logs.filter(({ msg }) => String(msg).includes(text))

  test('every route says so, and none fails or hangs; all is well when it is back', async () => {
    expect((await superuser.get('/content/')).status).toBe(200)
    expect((await app.client().post('/users/login/', login)).status).toBe(400)
    await postgres.kill()
    await askAll()
    expect((await app.client().get('/health/')).status).toBe(503)
    await postgres.comeBack()
    await untilBack()
    await expect
      .poll(async () => (await untilBack(), linesOf('the database is back').length), SOON)
      .toBe(1)
    expect(linesOf('the database cannot be used now')).toHaveLength(1)
    expect(linesOf('internal error')).toEqual([])
  })

  test('the same when it does not answer', async () => {
    await postgres.freeze()
    try {
      await askAll()
    } finally {
      postgres.thaw()
    }
    await untilBack()
    expect(linesOf('internal error')).toEqual([])
  })

  test('the list comes from memory or says so, whoever was recognised before', async () => {
    await untilBack()
    await postgres.kill()
    const reply = await superuser.get('/content/', { signal: AbortSignal.timeout(PATIENCE_MS) })
    expect([200, 503]).toContain(reply.status)
    await postgres.comeBack()
    await untilBack()
  })

  test('an open stream of events ends, and can be opened again', async () => {
    await untilBack()
    const accept = { accept: 'text/event-stream' }
    const stream = await superuser.get('/admin/api/events/', { headers: accept })
    expect(stream.status).toBe(200)
    await postgres.kill()
    const end = (async () => {
      await stream.text()
      return 'ended'
    })().catch(() => 'cut off')
    const isForgetting = setInterval(isForgotten, 500)
    expect(await Promise.race([end, sleep(PATIENCE_MS, 'still open')])).not.toBe('still open')
    clearInterval(isForgetting)
    await postgres.comeBack()
    await untilBack()
    const again = await superuser.get('/admin/api/events/', { headers: accept })
    expect(again.status).toBe(200)
    await again.body?.cancel()
  })
})
