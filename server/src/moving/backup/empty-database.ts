import { sql } from 'kysely'
import { transact, type Database, type Engine, type Transacting } from '../../db/database.ts'
import { AppError } from '../../errors.ts'
import { readTableNames } from './schema.ts'

/** While it is there, the database is half of a backup: nobody but the next restore may use it. */
const UNDER_WAY = 'restore_under_way'

export async function markUnderWay(db: Database): Promise<void> {
  await sql`create table if not exists ${sql.table(UNDER_WAY)} (id integer primary key)`.execute(db)
}

/** In the transaction that settles what was restored. */
export async function unmarkUnderWay(trx: Transacting): Promise<void> {
  await sql`drop table if exists ${sql.table(UNDER_WAY)}`.execute(trx)
}

/** Throws `misconfigured` for what a restore has left half done. */
export async function assertWhole(db: Database): Promise<void> {
  const tables = await db.introspection.getTables()
  if (!tables.some(({ name }) => name === UNDER_WAY)) return
  throw new AppError(
    'misconfigured',
    'A restore of this database was cut off: run `videoflix restore` again.',
  )
}

/**
 * Whether anybody would miss something. What a first start writes by itself is an account, and counts; what a restore has
 * left half done does not.
 */
export async function isDatabaseInUse(db: Database): Promise<boolean> {
  const tables = (await db.introspection.getTables()).map(({ name }) => name)
  if (tables.includes(UNDER_WAY)) return false
  for (const table of ['users', 'videos'] as const) {
    if (!tables.includes(table)) continue
    if (await db.selectFrom(table).select('id').limit(1).executeTakeFirst()) return true
  }
  return false
}

/** What migrations make besides tables, and what no table takes along when it goes. */
const FUNCTIONS = [
  'newest_with_words(tsquery, timestamptz, bigint, bigint)',
  'count_with_words(tsquery)',
  'keep_lexemes()',
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
