import { sql } from 'kysely'
import { transact, type Database, type Engine } from '../../db/database.ts'
import { readTableNames } from './schema.ts'

/** Whether anybody would miss something. What a first start writes by itself is an account, and counts. */
export async function isDatabaseInUse(db: Database): Promise<boolean> {
  const tables = (await db.introspection.getTables()).map(({ name }) => name)
  for (const table of ['users', 'videos'] as const) {
    if (!tables.includes(table)) continue
    if (await db.selectFrom(table).select('id').limit(1).executeTakeFirst()) return true
  }
  return false
}

/** What migrations make besides tables, and what no table takes along when it goes. */
const FUNCTIONS = [
  'newest_with_words(tsquery, timestamptz, bigint, bigint)',
  'empty_video_words()',
] as const

/** Of a database that is ours: every table goes, and so does what is known of its schema. */
export async function dropTables(db: Database, engine: Engine): Promise<void> {
  const names = (await readTableNames(db, engine)).toReversed()
  await transact(db, async (trx) => {
    for (const name of [...names, 'kysely_migration', 'kysely_migration_lock']) {
      await sql`drop table if exists ${sql.table(name)}`.execute(trx)
    }
    for (const name of engine === 'postgres' ? FUNCTIONS : []) {
      await sql`drop function if exists ${sql.raw(name)}`.execute(trx)
    }
  })
}
