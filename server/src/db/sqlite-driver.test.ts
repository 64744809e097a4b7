import Sqlite from 'better-sqlite3'
import { Kysely, sql } from 'kysely'
import { afterAll, expect, test } from 'vitest'
import { startChild } from '../../../test/harness/child.ts'
import { startDatabases } from '../../../test/harness/database.ts'
import { DatabaseAway } from './outage.ts'
import { sqliteDialect } from './sqlite-driver.ts'

const databases = await startDatabases('sqlite')
afterAll(() => databases.stop())

const DRIVER = new URL('sqlite-driver.ts', import.meta.url).href

/** A process of its own with `db`, an open Kysely. Gives what it printed. */
async function elsewhere(file: string, program: string): Promise<string> {
  const child = startChild(process.execPath, [
    '--input-type=module',
    '-e',
    `import { Kysely, sql } from ${JSON.stringify(import.meta.resolve('kysely'))}
     import { sqliteDialect } from ${JSON.stringify(DRIVER)}
     const db = new Kysely({ dialect: sqliteDialect(${JSON.stringify(file)}) })
     ${program}
     await db.destroy()`,
  ])
  const { code } = await child.exited
  if (code !== 0) throw new Error(child.output())
  return child.output()
}

async function aFile(): Promise<string> {
  const settings = await databases.empty()
  return settings.kind === 'sqlite' ? settings.file : ''
}

test('the file is safe against a loss of power, and has its foreign keys checked', async () => {
  const db = await databases.open(await databases.empty())
  const pragma = async (name: string) =>
    Object.values((await sql.raw<object>(`pragma ${name}`).execute(db)).rows[0]!)
  expect(await pragma('journal_mode')).toEqual(['wal'])
  expect(await pragma('synchronous')).toEqual([2])
  expect(await pragma('foreign_keys')).toEqual([1])
})

test('several processes may open a new file at the same moment', async () => {
  for (let round = 0; round < 3; round += 1) {
    const file = await aFile()
    const opening = Array.from({ length: 5 }, () =>
      elsewhere(file, 'await sql`create table if not exists t (n integer)`.execute(db)'),
    )
    expect(await Promise.all(opening)).toEqual(['', '', '', '', ''])
  }
})

test('a new file that somebody else is reading is waited for', async () => {
  const path = await aFile()
  const other = new Sqlite(path)
  other.exec('create table t (n integer); begin; select * from t')
  setTimeout(() => other.close(), 200)
  const db = new Kysely<unknown>({ dialect: sqliteDialect(path) })
  await sql`insert into t values (1)`.execute(db)
  expect((await sql`select n from t`.execute(db)).rows).toEqual([{ n: 1 }])
  await db.destroy()
})

test('two processes that read, then write, lose no update', async () => {
  const file = await aFile()
  await elsewhere(
    file,
    `await sql\`create table t (n integer)\`.execute(db)
     await sql\`insert into t values (0)\`.execute(db)`,
  )
  const add = `for (let i = 0; i < 200; i++)
    await db.transaction().execute(async (trx) => {
      const { rows } = await sql\`select n from t\`.execute(trx)
      await sql\`update t set n = \${rows[0].n + 1}\`.execute(trx)
    })`
  await Promise.all([elsewhere(file, add), elsewhere(file, add)])
  expect(
    await elsewhere(file, 'console.log((await sql`select n from t`.execute(db)).rows[0].n)'),
  ).toBe('400\n')
})

test('what a killed process had begun is undone, and its lock is free', async () => {
  const file = await aFile()
  await elsewhere(file, 'await sql`create table t (n integer)`.execute(db)')
  const killed = elsewhere(
    file,
    `await db.transaction().execute(async (trx) => {
       await sql\`insert into t values (1)\`.execute(trx)
       process.kill(process.pid, 'SIGKILL')
     })`,
  )
  await expect(killed).rejects.toBeInstanceOf(Error)
  expect(
    await elsewhere(
      file,
      `await sql\`insert into t values (2)\`.execute(db)
       console.log((await sql\`select n from t\`.execute(db)).rows.map((row) => row.n).join())`,
    ),
  ).toBe('2\n')
})

test('an error that ends the transaction by itself is told as it is', async () => {
  const db = await databases.open(await databases.empty())
  await sql`create table t (n integer unique on conflict rollback)`.execute(db)
  const twice = db.transaction().execute(async (trx) => {
    await sql`insert into t values (1)`.execute(trx)
    await sql`insert into t values (1)`.execute(trx)
  })
  await expect(twice).rejects.toThrow('UNIQUE constraint failed')
  await sql`insert into t values (1)`.execute(db)
})

test('a lock that another process keeps is waited for, with a process that goes on, and then told', async () => {
  const settings = await databases.empty()
  const [db, other] = [await databases.open(settings), await databases.open(settings)]
  await sql`create table t (n integer)`.execute(db)
  const holding = await other.startTransaction().execute()
  await sql`insert into t values (1)`.execute(holding)

  let ticks = 0
  const ticking = setInterval(() => (ticks += 1), 50)
  const tries = Array.from({ length: 4 }, (_, n) =>
    sql`insert into t values (${n})`.execute(db).catch((error: unknown) => error),
  )
  const begun = performance.now()
  for (const failure of await Promise.all(tries)) expect(failure).toBeInstanceOf(DatabaseAway)
  clearInterval(ticking)
  // Each of them would wait for five seconds alone.
  expect(performance.now() - begun).toBeLessThan(15_000)
  expect(ticks).toBeGreaterThan(10)
  expect((await sql`select n from t`.execute(db)).rows).toEqual([])

  const waiting = sql`insert into t values (5)`.execute(db)
  await holding.rollback().execute()
  await waiting.catch(() => {})
  await sql`insert into t values (6)`.execute(db)
})

test('a disk that is full is told as that', async () => {
  const db = await databases.open(await databases.empty())
  await sql`create table t (text text)`.execute(db)
  await sql`pragma max_page_count = 3`.execute(db)
  const failure = await sql`insert into t values (${'x'.repeat(100_000)})`
    .execute(db)
    .catch((error: unknown) => error)
  expect(failure).toMatchObject({ code: 'disk_full' })
  await sql`insert into t values ('small')`.execute(db)
})

test('once closed, it says so', async () => {
  const db = await databases.open(await databases.empty())
  await sql`select 1`.execute(db)
  await db.destroy()
  await expect(sql`select 1`.execute(db)).rejects.toThrow('destroyed')
  expect(db).toBeInstanceOf(Kysely)
})
