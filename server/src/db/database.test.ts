import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS } from '../../../test/harness/app.ts'
import { barrier, meetingOf } from '../../../test/harness/barrier.ts'
import { startDatabases, type Databases } from '../../../test/harness/database.ts'
import {
  isForeignKeyViolation,
  isUniqueViolation,
  transact,
  type Database,
  type Transacting,
} from './database.ts'
import { asJson } from './tables.ts'

const NOW = new Date('2026-02-03T04:05:06.789Z')

const USER = {
  username: null,
  password_hash: 'x',
  phone: null,
  address: null,
  is_active: true,
  confirmed_at: NOW,
  is_superuser: false,
  created_at: NOW,
  last_login_at: null,
}

async function aUser(db: Database | Transacting, email: string) {
  return await db
    .insertInto('users')
    .values({ ...USER, email })
    .returningAll()
    .executeTakeFirstOrThrow()
}

async function aTask(db: Database, payload: unknown = {}) {
  const values = { kind: 'test', payload: asJson(payload), subject: 's', due_at: NOW }
  return await db
    .insertInto('tasks')
    .values({
      ...values,
      created_at: NOW,
      lease_owner: null,
      lease_until: null,
      last_error: null,
      finished_at: null,
      outcome: null,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
}

describe.each(BACKENDS)('on %s', (backend) => {
  let databases: Databases
  let db: Database
  beforeAll(async () => {
    databases = await startDatabases(backend)
    db = (await databases.migrated()).db
  })
  afterAll(() => databases.stop())

  const emails = async (start: string): Promise<string[]> => {
    const rows = await db
      .selectFrom('users')
      .select('email')
      .where('email', 'like', `${start}%`)
      .orderBy('email')
      .execute()
    return rows.map((row) => row.email)
  }

  describe('values come back as they went in', () => {
    test('from RETURNING', async () => {
      const user = await aUser(db, 'returned@example.com')
      expect(user).toMatchObject({ ...USER, id: expect.any(Number), email: 'returned@example.com' })
    })

    test('from a join, under other names, and null where there is no row', async () => {
      const { id } = await aUser(db, 'joined@example.com')
      const rows = await db
        .selectFrom('users as u')
        .leftJoin('sessions as s', 's.user_id', 'u.id')
        .select([
          'u.is_active as mayLogIn',
          'u.is_superuser as rules',
          'u.confirmed_at as since',
          'u.last_login_at as seen',
          's.is_remembered as stays',
          's.expires_at as until',
        ])
        .where('u.id', '=', id)
        .execute()
      expect(rows).toEqual([
        { mayLogIn: true, rules: false, since: NOW, seen: null, stays: null, until: null },
      ])
    })

    test('from an update', async () => {
      const { id } = await aUser(db, 'updated@example.com')
      const updated = await db
        .updateTable('users')
        .set({ is_active: false, confirmed_at: null, last_login_at: NOW })
        .where('id', '=', id)
        .returning(['is_active as a', 'confirmed_at as c', 'last_login_at as l'])
        .executeTakeFirst()
      expect(updated).toEqual({ a: false, c: null, l: NOW })
    })

    test('instants to the millisecond, far and near', async () => {
      for (const at of [
        '1970-01-01T00:00:00.000Z',
        '1999-12-31T23:59:59.999Z',
        '2099-06-15T12:00:00.001Z',
      ]) {
        const { due_at: due } = await db
          .updateTable('tasks')
          .set({ due_at: new Date(at) })
          .where('id', '=', (await aTask(db)).id)
          .returning('due_at')
          .executeTakeFirstOrThrow()
        expect(due.toISOString()).toBe(at)
      }
    })

    test.for([{ deep: [{ 'ä"\\': [1, null, true] }] }, [], {}, 'text', '5', 5, -0.5, true, null])(
      'JSON %j',
      async (payload) => {
        expect((await aTask(db, payload)).payload).toEqual(payload)
      },
    )

    test('large numbers and counts as numbers', async () => {
      const { id } = await aTask(db)
      const large = 2 ** 53 - 1
      await db.updateTable('tasks').set({ lease_token: large }).where('id', '=', id).execute()
      const row = await db
        .selectFrom('tasks')
        .select((eb) => ['lease_token', eb.fn.countAll<number>().over().as('count')])
        .where('id', '=', id)
        .executeTakeFirst()
      expect(row).toEqual({ lease_token: large, count: 1 })
    })
  })

  test('ids are never given twice', async () => {
    const first = await aTask(db)
    await db.deleteFrom('tasks').where('id', '=', first.id).execute()
    expect((await aTask(db)).id).toBeGreaterThan(first.id)
  })

  test('the same statement may run with other values, many at once', async () => {
    const made = await Promise.all(
      Array.from({ length: 300 }, (_, i) => aUser(db, `many${String(i).padStart(3, '0')}@x`)),
    )
    const found = await Promise.all(
      made.map(({ id }) => db.selectFrom('users').select('email').where('id', '=', id).execute()),
    )
    expect(found.map(([row]) => row?.email)).toEqual(made.map(({ email }) => email))
  })

  test('lists of every length stay right, however many statements that makes', async () => {
    const { id } = await aUser(db, 'listed@example.com')
    for (let length = 1; length <= 600; length += 1) {
      const ids = [id, ...Array.from({ length: length - 1 }, (_, i) => -i - 1)]
      const rows = await db
        .selectFrom('users')
        .select(['is_active', 'created_at'])
        .where('id', 'in', ids)
        .execute()
      expect(rows).toEqual([{ is_active: true, created_at: NOW }])
    }
  })

  test('a unique violation and one of a foreign key are told from other errors', async () => {
    const { id } = await aUser(db, 'twice@example.com')
    const again = await aUser(db, 'twice@example.com').catch((error: unknown) => error)
    expect(isUniqueViolation(again)).toBe(true)
    const sameId = await db
      .insertInto('users')
      .values({ ...USER, id, email: 'other@example.com' })
      .execute()
      .catch((error: unknown) => error)
    expect(isUniqueViolation(sameId)).toBe(true)

    const orphan = await db
      .insertInto('favorites')
      .values({ user_id: -1, video_id: -1, created_at: NOW })
      .execute()
      .catch((error: unknown) => error)
    expect(orphan).toBeInstanceOf(Error)
    expect(isUniqueViolation(orphan)).toBe(false)
    expect(isUniqueViolation(null)).toBe(false)
    expect(isForeignKeyViolation(orphan)).toBe(true)
    expect(isForeignKeyViolation(again)).toBe(false)
  })

  describe('transactions', () => {
    test('write all, or nothing when they fail, and the next one goes on', async () => {
      await expect(
        transact(db, async (trx) => {
          await aUser(trx, 'rolled1@example.com')
          throw new Error('no')
        }),
      ).rejects.toThrow('no')
      await expect(
        transact(db, async (trx) => {
          await aUser(trx, 'rolled2@example.com')
          await aUser(trx, 'rolled2@example.com')
        }),
      ).rejects.toSatisfy(isUniqueViolation)
      await transact(db, (trx) => aUser(trx, 'rolled3@example.com'))
      expect(await emails('rolled')).toEqual(['rolled3@example.com'])
    })

    test('a hundred that read, then write, lose no update', async () => {
      const { id } = await aTask(db)
      const addOne = () =>
        transact(db, async (trx) => {
          const { attempts } = await trx
            .selectFrom('tasks')
            .select('attempts')
            .where('id', '=', id)
            .forUpdate()
            .executeTakeFirstOrThrow()
          await trx
            .updateTable('tasks')
            .set({ attempts: attempts + 1 })
            .where('id', '=', id)
            .execute()
        })
      await Promise.all(Array.from({ length: 100 }, addOne))
      const after = await db.selectFrom('tasks').select('attempts').where('id', '=', id).execute()
      expect(after).toEqual([{ attempts: 100 }])
    })

    test('what is not committed is not seen from outside', async () => {
      const written = barrier()
      const seen = barrier()
      const writing = transact(db, async (trx) => {
        await aUser(trx, 'hidden@example.com')
        written.open()
        // On SQLite others wait for the one connection instead.
        if (backend === 'postgres') await seen.opened
      })
      await written.opened
      const reading = emails('hidden')
      const before = backend === 'postgres' ? await reading : []
      seen.open()
      await writing
      expect(before).toEqual([])
      expect(await emails('hidden')).toEqual(['hidden@example.com'])
    })
  })

  test.runIf(backend === 'sqlite')('row locks are left out', () => {
    const query = db.selectFrom('tasks').select('id').forUpdate().skipLocked().compile()
    expect(query.sql.trimEnd()).toBe('select "id" from "tasks"')
  })

  describe.runIf(backend === 'postgres')('PostgreSQL alone', () => {
    test('resolves a deadlock by doing one of the two again', async () => {
      const [a, b] = [await aTask(db), await aTask(db)]
      const bothHoldOne = meetingOf(2)
      let runs = 0
      const inOrder = (first: { id: number }, second: { id: number }) =>
        transact(db, async (trx) => {
          const isFirstRun = (runs += 1) <= 2
          const addOne = (id: number) =>
            trx
              .updateTable('tasks')
              .set((eb) => ({ attempts: eb('attempts', '+', 1) }))
              .where('id', '=', id)
              .execute()
          await addOne(first.id)
          if (isFirstRun) await bothHoldOne()
          await addOne(second.id)
        })
      await Promise.all([inOrder(a, b), inOrder(b, a)])
      expect(runs).toBe(3)
      const rows = await db
        .selectFrom('tasks')
        .select('attempts')
        .where('id', 'in', [a.id, b.id])
        .execute()
      expect(rows).toEqual([{ attempts: 2 }, { attempts: 2 }])
    })

    test('losing every connection fails what runs, and nothing after', async () => {
      const { db: ours, settings } = await databases.migrated()
      const killer = await databases.open(settings)
      const killAll = () =>
        sql`select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid()`.execute(killer)
      // Several idle connections, and one that is between two statements of a transaction.
      await Promise.all([1, 2, 3].map(() => sql`select pg_sleep(0.05)`.execute(ours)))
      const isOpen = barrier()
      const isCut = barrier()
      const cut = transact(ours, async (trx) => {
        await aUser(trx, 'cut@example.com')
        isOpen.open()
        await isCut.opened
        await aUser(trx, 'never@example.com')
      })
      const failed = cut.catch((error: unknown) => error)
      await isOpen.opened
      await killAll()
      isCut.open()
      expect(await failed).toBeInstanceOf(Error)
      await expect
        .poll(() =>
          ours
            .selectFrom('users')
            .select('id')
            .execute()
            .catch(() => 'away'),
        )
        .toEqual([])
    })
  })
})
