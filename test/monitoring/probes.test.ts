import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { SCHEMA_VERSIONS } from '../../server/src/db/migrate.ts'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'

async function probe(app: TestApp, path: string, headers = {}): Promise<[number, unknown]> {
  const reply = await app.client().get(path, { headers })
  expect(reply.headers.get('cache-control')).toBe('no-store')
  return [reply.status, await reply.json()]
}

test.each(BACKENDS)(
  'a server is ready while it can serve, and alive in any case, on %s',
  async (backend) => {
    await using app = await startApp({ backend })
    const live = () => probe(app, '/health/live')
    const ready = () => probe(app, '/health/ready')
    const notReady = (reason: string) => [503, { status: 'not ready', reason }]
    expect(await live()).toEqual([200, { status: 'ok' }])
    expect(await ready()).toEqual([200, { status: 'ready' }])

    const { db } = app.app
    const newest = SCHEMA_VERSIONS.at(-1)
    await sql`insert into kysely_migration (name, timestamp) values ('9999-of-later', 'now')`.execute(
      db,
    )
    expect(await ready()).toEqual([200, { status: 'ready' }])
    await sql`delete from kysely_migration where name = ${newest}`.execute(db)
    expect(await ready()).toEqual(
      notReady('The database has an older schema: run `videoflix migrate`.'),
    )
    await sql`insert into kysely_migration (name, timestamp) values (${newest}, 'now')`.execute(db)
    expect(await ready()).toEqual([200, { status: 'ready' }])

    app.app.monitoring.readiness.end()
    expect(await ready()).toEqual(notReady('This process is ending.'))
    expect(await live()).toEqual([200, { status: 'ok' }])
    expect((await app.client().get('/content/')).status).toBe(401)
  },
)

test.each(BACKENDS)('a server whose database is gone is not ready, on %s', async (backend) => {
  await using app = await startApp({ backend })
  expect((await probe(app, '/health/ready'))[0]).toBe(200)
  await app.app.db.destroy()
  expect(await probe(app, '/health/ready')).toEqual([
    503,
    { status: 'not ready', reason: 'The database does not answer.' },
  ])
  expect((await probe(app, '/health/live'))[0]).toBe(200)
})

test('balancers may ask by address, and other paths may not', async () => {
  await using app = await startApp()
  const ask = async (url: string) => {
    const headers = { host: '10.20.30.40:8000' }
    return (await app.server.inject({ url, headers })).statusCode
  }
  expect(await ask('/health/live')).toBe(200)
  expect(await ask('/health/ready')).toBe(200)
  expect(await ask('/health/')).toBe(400)
  expect(await ask('/content/')).toBe(400)
})
