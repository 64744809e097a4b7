import { sql } from 'kysely'
import type { Database, Engine } from '../db/database.ts'

/**
 * The last id that each table has given. An id is never given twice, not even after a deletion, so where rows with ids
 * of their own come in, the table has to be told.
 */

/** By table; of those that give ids. */
export async function readLastIds(
  db: Database,
  engine: Engine,
  tables: string[],
): Promise<Record<string, number>> {
  const lastIds: Record<string, number> = {}
  for (const table of tables) {
    const last =
      engine === 'sqlite' ? await lastOnSqlite(db, table) : await lastOnPostgres(db, table)
    if (last !== null && last > 0) lastIds[table] = last
  }
  return lastIds
}

/** Ids given from now on are above these, and above those that there are. */
export async function raiseLastIds(
  db: Database,
  engine: Engine,
  lastIds: Record<string, number>,
): Promise<void> {
  for (const [table, last] of Object.entries(lastIds)) {
    if (engine === 'sqlite') await raiseOnSqlite(db, table, last)
    else await raiseOnPostgres(db, table, last)
  }
}

async function lastOnSqlite(db: Database, table: string): Promise<number | null> {
  const { rows } = await sql<{
    seq: number
  }>`select seq from sqlite_sequence where name = ${table}`.execute(db)
  return rows[0]?.seq ?? null
}

/** Explicit ids are counted by SQLite itself. */
async function raiseOnSqlite(db: Database, table: string, last: number): Promise<void> {
  const current = await lastOnSqlite(db, table)
  if (current === null) {
    await sql`insert into sqlite_sequence (name, seq) values (${table}, ${last})`.execute(db)
  } else if (current < last) {
    await sql`update sqlite_sequence set seq = ${last} where name = ${table}`.execute(db)
  }
}

async function sequenceOf(db: Database, table: string): Promise<string | null> {
  const { rows } = await sql<{ name: string | null }>`
    select pg_get_serial_sequence(quote_ident(table_name), 'id') as name
    from information_schema.columns
    where table_schema = current_schema() and table_name = ${table} and column_name = 'id'
      and is_identity = 'YES'`.execute(db)
  return rows[0]?.name ?? null
}

async function lastOnPostgres(db: Database, table: string): Promise<number | null> {
  const name = await sequenceOf(db, table)
  if (name === null) return null
  const { rows } = await sql<{ last: number }>`
    select case when is_called then last_value else 0 end as last from ${sql.raw(name)}`.execute(db)
  return rows[0]?.last ?? null
}

async function raiseOnPostgres(db: Database, table: string, last: number): Promise<void> {
  const name = await sequenceOf(db, table)
  if (name === null) return
  const { rows } = await sql<{ most: number | null }>`
    select max(id) as most from ${sql.table(table)}`.execute(db)
  const most = Math.max(last, rows[0]?.most ?? 0, (await lastOnPostgres(db, table)) ?? 0)
  if (most > 0) await sql`select setval(${name}::regclass, ${most}::bigint)`.execute(db)
}
