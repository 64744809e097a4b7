import { sql, type ColumnDefinitionBuilder } from 'kysely'
import type { Engine } from './database.ts'

/** Column types that mean the same on both engines; on SQLite the name also tells the driver how to decode. */
export function columnTypes(engine: Engine) {
  const isSqlite = engine === 'sqlite'
  return {
    text: 'text' as const,
    boolean: 'boolean' as const,
    /** Up to 2^53. */
    integer: isSqlite ? ('integer' as const) : ('bigint' as const),
    instant: isSqlite ? sql`timestamp` : sql`timestamptz(3)`,
    json: isSqlite ? sql`json` : sql`jsonb`,
    /** A number that is never given twice, not even after a deletion. */
    id: isSqlite ? ('integer' as const) : ('bigint' as const),
    asId: (column: ColumnDefinitionBuilder) =>
      isSqlite
        ? column.primaryKey().autoIncrement()
        : column.primaryKey().generatedByDefaultAsIdentity(),
  }
}
