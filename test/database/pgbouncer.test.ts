import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { databaseSettings } from '../../server/src/config/database-settings.ts'
import { openDatabase } from '../../server/src/db/database.ts'
import { migrate, SCHEMA_VERSIONS } from '../../server/src/db/migrate.ts'
import { startApp } from '../harness/app.ts'
import { startPgBouncer } from '../harness/pgbouncer.ts'
import { startPostgres } from '../harness/postgres.ts'
import { has } from '../harness/programs.ts'
import { aReadyVideo } from '../videos/library.ts'

const isThere = has('postgres') && has('pgbouncer')

test.skipIf(!isThere)('behind PgBouncer, with a connection for each transaction', async () => {
  await using postgres = await startPostgres()
  await using bouncer = await startPgBouncer(postgres)
  const direct = await postgres.databaseUrl()
  const env = { DATABASE_URL: bouncer.urlOf(direct) }

  const five = await Promise.all(
    Array.from({ length: 5 }, async () => {
      await using db = await openDatabase(databaseSettings(env, ''))
      return await migrate(db, 'postgres')
    }),
  )
  expect(five.map((done) => done.length).toSorted((one, other) => one - other)).toEqual([
    ...[0, 0, 0, 0],
    SCHEMA_VERSIONS.length,
  ])

  await using app = await startApp({ env })
  const superuser = await app.superuser()
  const { id } = await aReadyVideo(app, superuser)
  expect((await superuser.get(`/content/${id}/`)).status).toBe(200)

  // Whatever holds for a session would be found on one of these by somebody else.
  await using db = await openDatabase(databaseSettings({ DATABASE_URL: direct }, ''))
  const { rows } = await sql`select * from pg_locks where locktype = 'advisory'`.execute(db)
  expect(rows).toEqual([])
})
