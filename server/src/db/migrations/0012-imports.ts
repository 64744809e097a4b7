import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import { columnTypes } from '../columns.ts'
import type { Engine } from '../database.ts'

/** How far imports from other systems have come. */
export function imports(engine: Engine): Migration {
  const { text, integer, json } = columnTypes(engine)

  async function up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('imports')
      .addColumn('name', text, (c) => c.primaryKey())
      .addColumn('last_favorite', integer, (c) => c.notNull())
      .addColumn('left_out', json, (c) => c.notNull())
      .execute()
  }

  return { up }
}
