import { sql } from 'kysely'
import { Client } from 'pg'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  databaseSettings,
  type PostgresSettings,
} from '../../server/src/config/database-settings.ts'
import { openDatabase, transact, type Database } from '../../server/src/db/database.ts'
import { DatabaseAway } from '../../server/src/db/outage.ts'
import { AppError } from '../../server/src/errors.ts'
import { barrier } from '../harness/barrier.ts'
import { startPostgres, type Postgres } from '../harness/postgres.ts'
import { has } from '../harness/programs.ts'

const MAX_CONNECTIONS = 12

describe.skipIf(!has('postgres'))('connections to PostgreSQL', () => {
  let postgres: Postgres
  const opened: Database[] = []
  beforeAll(async () => {
    postgres = await startPostgres({ maxConnections: MAX_CONNECTIONS })
  })
  afterEach(() => Promise.all(opened.splice(0).map((db) => db.destroy())))
  afterAll(() => postgres.stop())

  async function open(more: Partial<PostgresSettings> = {}) {
    const url = await postgres.databaseUrl()
    const settings = databaseSettings({ DATABASE_URL: url }, '')
    const logs: { msg: string; level: number }[] = []
    const log = pino({}, { write: (line: string) => void logs.push(JSON.parse(line)) })
    const db = await openDatabase({ ...settings, ...more } as PostgresSettings, log)
    opened.push(db)
    return { db, logs, url }
  }

  const one = async (db: Database): Promise<unknown> =>
    (await sql<{ one: number }>`select 1 as one`.execute(db)).rows[0]?.one

  async function failureOf(work: Promise<unknown>): Promise<AppError> {
    return await work.then(
      () => expect.fail('it was taken'),
      (error: AppError) => error,
    )
  }

  test('a server that is gone is told once, to callers and to the log, and found again', async () => {
    const { db, logs } = await open()
    expect(await one(db)).toBe(1)
    await postgres.kill()
    for (let i = 0; i < 5; i += 1) {
      const failure = await failureOf(one(db))
      expect(failure).toBeInstanceOf(DatabaseAway)
      expect(failure).toMatchObject({ code: 'unavailable', retryAfterSeconds: 5 })
      expect(failure.message).toBe('The database cannot be used now. Try again in a few seconds.')
    }
    await postgres.comeBack()
    await expect.poll(() => one(db).catch(() => 'away')).toBe(1)
    await expect
      .poll(async () => (await one(db), logs.map(({ msg }) => msg.replace(/\d+/, 'N'))))
      .toEqual([
        'the database cannot be used now: trying again until it can',
        'the database is back after N s',
      ])
  })

  test('a server that does not answer is given up after the timeout of statements', async () => {
    const { db } = await open({ statementTimeoutMs: 500, poolSize: 2 })
    expect(await one(db)).toBe(1)
    await postgres.freeze()
    try {
      const waiting = Array.from({ length: 5 }, () => failureOf(one(db)))
      for (const failure of await Promise.all(waiting)) {
        expect(failure).toBeInstanceOf(DatabaseAway)
      }
    } finally {
      postgres.thaw()
    }
    await expect.poll(() => one(db).catch(() => 'away')).toBe(1)
  })

  test('a statement that takes too long is ended by the server, and its connection stays', async () => {
    const { db } = await open({ statementTimeoutMs: 300, poolSize: 1 })
    const pid = async () =>
      (await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(db)).rows[0]?.pid
    const before = await pid()
    const failure = await failureOf(sql`select pg_sleep(20)`.execute(db))
    expect(failure).toBeInstanceOf(DatabaseAway)
    expect(await pid()).toBe(before)
  })

  test('without that timeout a statement may take its time', async () => {
    const { db } = await open({ statementTimeoutMs: null })
    const { rows } = await sql<{ setting: string }>`show statement_timeout`.execute(db)
    expect(rows).toEqual([{ statement_timeout: '0' }])
  })

  test('a server with no room for one more connection is away until there is', async () => {
    const { db, url } = await open()
    const others: Client[] = []
    let refusal: unknown
    while (refusal === undefined) {
      const other = new Client(url)
      other.on('error', () => {})
      refusal = await other.connect().then(
        () => void others.push(other),
        (error: unknown) => error,
      )
    }
    expect(refusal).toMatchObject({ code: '53300' })
    expect(await failureOf(one(db))).toBeInstanceOf(DatabaseAway)
    await Promise.all(others.map((other) => other.end()))
    await expect.poll(() => one(db).catch(() => 'full')).toBe(1)
  })

  test('whoever waits too long for a connection of ours is told so', async () => {
    const { db } = await open({ poolSize: 1 })
    const isHeld = barrier()
    const goOn = barrier()
    const holding = transact(db, async (trx) => {
      await sql`select 1`.execute(trx)
      isHeld.open()
      await goOn.opened
    })
    await isHeld.opened
    expect(await failureOf(one(db))).toBeInstanceOf(DatabaseAway)
    goOn.open()
    await holding
    expect(await one(db)).toBe(1)
  })

  test('a connection that takes no more writes is not used again', async () => {
    const { db, url } = await open({ poolSize: 1 })
    await sql`create table films (id int)`.execute(db)
    const name = url.split('/').at(-1) ?? ''
    const admin = await open()
    // As it is after a failover: what was the primary takes reads alone.
    await sql.raw(`alter database ${name} set default_transaction_read_only = on`).execute(admin.db)
    await sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = ${name}`.execute(admin.db)
    await expect.poll(() => one(db).catch(() => 'away')).toBe(1)
    await sql.raw(`alter database ${name} reset default_transaction_read_only`).execute(admin.db)
    expect(await failureOf(sql`insert into films values (1)`.execute(db))).toBeInstanceOf(
      DatabaseAway,
    )
    await sql`insert into films values (2)`.execute(db)
  })

  test('a connection that breaks does not hide why a transaction was given up', async () => {
    const { db, url } = await open({ poolSize: 2 })
    const name = url.split('/').at(-1) ?? ''
    const admin = await open()
    const conflict = new AppError('conflict', 'Somebody was faster.')
    const given = transact(db, async (trx) => {
      await sql`select 1`.execute(trx)
      await sql`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = ${name}`.execute(admin.db)
      throw conflict
    })
    expect(await failureOf(given)).toBe(conflict)
    await expect.poll(() => one(db).catch(() => 'away')).toBe(1)
  })

  test('serialization failures are tried again', async () => {
    const { db } = await open()
    let runs = 0
    const result = await transact(db, async (trx) => {
      runs += 1
      const code = runs < 3 ? '40001' : '00000'
      if (runs < 3) await sql.raw(`do $$ begin raise sqlstate '${code}'; end $$`).execute(trx)
      return runs
    })
    expect(result).toBe(3)
  })

  test('what is wrong with a statement stays what it is', async () => {
    const { db } = await open()
    const failure = await failureOf(sql`select * from nothing`.execute(db))
    expect(failure).not.toBeInstanceOf(AppError)
    expect(failure).toMatchObject({ code: '42P01' })
    const nonsense = await failureOf(sql`select ${{ toPostgres: () => nothing() }}`.execute(db))
    expect(nonsense.message).toBe('nonsense')
    expect(await one(db)).toBe(1)
  })

  test('an operator sees who we are', async () => {
    const { db } = await open({ applicationName: 'videoflix worker' })
    const { rows } = await sql`show application_name`.execute(db)
    expect(rows).toEqual([{ application_name: 'videoflix worker' }])
  })
})

function nothing(): never {
  throw new Error('nonsense')
}
