import { sql, type RawBuilder, type SqlBool } from 'kysely'
import type { Database } from './database.ts'
import type { Tables } from './tables.ts'

const ROWS_AT_ONCE = 10_000

/**
 * Deletes any number of rows: at once, millions of them would outlast the longest time of a statement and come to nothing.
 * `key` is the column that tells rows apart.
 */
export async function deleteInPieces<T extends keyof Tables>(
  db: Database,
  table: T,
  key: keyof Tables[T] & string,
  isUnwanted: RawBuilder<SqlBool>,
): Promise<void> {
  let deleted: bigint
  do {
    const { numAffectedRows } = await sql`
      delete from ${sql.table(table)} where ${sql.ref(key)} in (
        select ${sql.ref(key)} from ${sql.table(table)} where ${isUnwanted} limit ${ROWS_AT_ONCE}
      )`.execute(db)
    deleted = numAffectedRows ?? 0n
  } while (deleted >= ROWS_AT_ONCE)
}
