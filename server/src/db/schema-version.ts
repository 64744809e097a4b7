import { sql } from 'kysely'
import type { Database } from './database.ts'
import { SCHEMA_VERSIONS } from './migrate.ts'

/** Whether all that this program needs is there. A newer one may have been here too: it waits until this one has ended. */
export async function hasCurrentSchema(db: Database): Promise<boolean> {
  const { rows } = await sql<{ name: string }>`select name from kysely_migration`.execute(db)
  const present = new Set(rows.map(({ name }) => name))
  return SCHEMA_VERSIONS.every((name) => present.has(name))
}
