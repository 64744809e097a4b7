import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { startDatabases } from '../../../../test/harness/database.ts'
import { has } from '../../../../test/harness/programs.ts'
import { migrate } from '../../db/migrate.ts'
import { readAllTables, readTables } from './schema.ts'

test.skipIf(!has('postgres'))('our tables are found in whatever schema they are', async () => {
  await using databases = await startDatabases('postgres')
  const settings = await databases.empty()
  const owner = await databases.open(settings)
  await sql`create schema authorization postgres`.execute(owner)
  const db = await databases.open(settings)
  await migrate(db, 'postgres')
  await sql`create table public.sessions (id integer)`.execute(db)
  const { rows } = await sql`select * from pg_tables where tablename = 'users'`.execute(db)
  expect(rows).toMatchObject([{ schemaname: 'postgres' }])
  const shapes = await readTables(db, 'postgres')
  expect(shapes.find(({ name }) => name === 'sessions')?.columns.length).toBeGreaterThan(3)

  await sql`drop schema postgres cascade`.execute(db)
  await expect(readAllTables(db, 'postgres')).rejects.toThrow(/no table .*users.*search_path/)
})
