import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS, startApp, type TestApp } from '../../../test/harness/app.ts'
import { outdatedRows } from './outdated-rows.ts'

const DAY = 86_400_000

describe.each(BACKENDS)('outdated rows, on %s', (backend) => {
  let app: TestApp
  beforeAll(async () => {
    app = await startApp({ backend, media: 'local' })
  })
  afterAll(() => app.stop())

  const count = async (table: 'sessions' | 'links' | 'audit'): Promise<number> =>
    (await app.app.db.selectFrom(table).selectAll().execute()).length

  test('are forgotten when nobody will ask for them again, and not before', async () => {
    await app.superuser()
    await app.viewer()
    await app.worker.idle()
    const { db } = app.app
    const forget = outdatedRows({ db, clock: app.clock, auditKeptMs: 365 * DAY })
    const before = [await count('sessions'), await count('links'), await count('audit')]
    expect(Math.min(...before)).toBeGreaterThan(0)

    await forget()
    expect([await count('sessions'), await count('links'), await count('audit')]).toEqual(before)

    app.clock.advance(40 * DAY)
    await forget()
    expect([await count('sessions'), await count('links')]).toEqual([0, 0])
    expect(await count('audit')).toBe(before[2])

    app.clock.advance(365 * DAY)
    await forget()
    expect(await count('audit')).toBe(0)
  })

  test('locks of servers that died are forgotten, those of others not', async () => {
    const { db } = app.app
    const now = app.clock.now().getTime()
    for (const [upload_id, at] of [
      ['dead', now - 2 * DAY],
      ['live', now],
    ] as const) {
      const lock = { upload_id, owner: 'elsewhere 1 x', held_until: new Date(at), is_wanted: false }
      await db.insertInto('upload_locks').values(lock).execute()
    }
    await outdatedRows({ db, clock: app.clock, auditKeptMs: DAY })()
    const left = await db.selectFrom('upload_locks').select('upload_id').execute()
    expect(left).toEqual([{ upload_id: 'live' }])
  })

  test('are forgotten however many they are', async () => {
    const { db } = app.app
    await sql`
      with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < 20001)
      insert into audit (at, event, details) select ${new Date(0)}, 'login', '{}' from numbers`.execute(
      db,
    )
    await outdatedRows({ db, clock: app.clock, auditKeptMs: DAY })()
    const old = db.selectFrom('audit').select('id').where('at', '<', new Date(1))
    expect(await old.execute()).toEqual([])
  })

  test('what webhooks told is forgotten 30 days after its end, and never before it', async () => {
    const { db } = app.app
    const now = app.clock.now()
    const of = { event: 'webhook.test', video_id: null, url: 'http://localhost/', body: '{}' }
    const ends = { delivered: { delivered_at: now }, failed: { failed_at: now }, pending: {} }
    for (const [id, end] of Object.entries(ends)) {
      await db
        .insertInto('webhook_deliveries')
        .values({ id, ...of, created_at: now, ...end })
        .execute()
    }
    const forget = outdatedRows({ db, clock: app.clock, auditKeptMs: 365 * DAY })
    const idsAfter = async (days: number): Promise<string[]> => {
      app.clock.advance(days * DAY)
      await forget()
      const rows = await db.selectFrom('webhook_deliveries').select('id').orderBy('id').execute()
      return rows.map(({ id }) => id)
    }
    expect(await idsAfter(29.9)).toEqual(['delivered', 'failed', 'pending'])
    expect(await idsAfter(0.2)).toEqual(['pending'])
  })
})
