import { join } from 'node:path'
import { sql } from 'kysely'
import { openDatabase, type Database, type Engine } from '../../db/database.ts'

/**
 * The database as it is at one moment, for as long as `read` takes; the server goes on writing. On SQLite it is a copy
 * in `workDir` (`VACUUM INTO`), on PostgreSQL a transaction that sees no later change.
 */
export async function atOneMoment<T>(
  db: Database,
  engine: Engine,
  workDir: string,
  read: (snapshot: Database) => Promise<T>,
): Promise<T> {
  return engine === 'sqlite' ? await onCopy(db, workDir, read) : await inTransaction(db, read)
}

async function onCopy<T>(
  db: Database,
  workDir: string,
  read: (snapshot: Database) => Promise<T>,
): Promise<T> {
  const file = join(workDir, 'snapshot.sqlite3')
  await sql`vacuum into ${file}`.execute(db)
  const snapshot = await openDatabase({ kind: 'sqlite', file })
  try {
    return await read(snapshot)
  } finally {
    await snapshot.destroy()
  }
}

async function inTransaction<T>(
  db: Database,
  read: (snapshot: Database) => Promise<T>,
): Promise<T> {
  return await db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (trx) => {
      // Between two pages a slow disk may take its time.
      await sql`set local idle_in_transaction_session_timeout = 0`.execute(trx)
      return await read(trx)
    })
}

export type Row = Record<string, unknown>

/** With its fragment index a row may have 100 KB. */
const ROWS_AT_ONCE = 100

/** All rows of a table with decoded values: booleans, `Date`s, JSON. In pages. */
export async function* readRows(
  snapshot: Database,
  engine: Engine,
  table: string,
): AsyncGenerator<Row> {
  if (engine === 'sqlite') yield* byRowid(snapshot, table)
  else yield* byCursor(snapshot, table)
}

async function* byRowid(snapshot: Database, table: string): AsyncGenerator<Row> {
  for (let after = 0; ;) {
    const { rows } = await sql<Row & { vf_rowid: number }>`
      select rowid as vf_rowid, * from ${sql.table(table)}
      where rowid > ${after} order by rowid limit ${ROWS_AT_ONCE}`.execute(snapshot)
    for (const { vf_rowid: rowid, ...row } of rows) {
      after = rowid
      yield row
    }
    if (rows.length < ROWS_AT_ONCE) return
  }
}

async function* byCursor(snapshot: Database, table: string): AsyncGenerator<Row> {
  await sql`declare vf_rows no scroll cursor for select * from ${sql.table(table)}`.execute(
    snapshot,
  )
  for (;;) {
    const { rows } = await sql<Row>`fetch ${sql.raw(String(ROWS_AT_ONCE))} from vf_rows`.execute(
      snapshot,
    )
    yield* rows
    if (rows.length < ROWS_AT_ONCE) break
  }
  await sql`close vf_rows`.execute(snapshot)
}
