import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import { columnTypes } from '../columns.ts'
import type { Engine } from '../database.ts'

export function directUploads(engine: Engine): Migration {
  const { text, integer, instant } = columnTypes(engine)

  async function up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('direct_uploads')
      .addColumn('id', text, (c) => c.primaryKey())
      .addColumn('store_id', text, (c) => c.notNull())
      .addColumn('file_name', text, (c) => c.notNull())
      .addColumn('size_bytes', integer, (c) => c.notNull())
      .addColumn('part_bytes', integer, (c) => c.notNull())
      .addColumn('sealed_at', instant)
      .addColumn('created_at', instant, (c) => c.notNull())
      .addColumn('expires_at', instant, (c) => c.notNull())
      .execute()
    await db.schema
      .createIndex('direct_uploads_expires_at')
      .on('direct_uploads')
      .column('expires_at')
      .execute()
  }

  return { up }
}
