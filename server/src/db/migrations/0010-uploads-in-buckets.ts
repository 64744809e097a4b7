import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import { columnTypes } from '../columns.ts'
import type { Engine } from '../database.ts'

export function uploadsInBuckets(engine: Engine): Migration {
  const { text, integer, instant, json, boolean } = columnTypes(engine)

  async function up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('bucket_uploads')
      .addColumn('id', text, (c) => c.primaryKey())
      .addColumn('store_id', text, (c) => c.notNull())
      .addColumn('metadata', json, (c) => c.notNull())
      .addColumn('size_bytes', integer, (c) => c.notNull())
      .addColumn('part_bytes', integer, (c) => c.notNull())
      .addColumn('offset_bytes', integer, (c) => c.notNull())
      .addColumn('tail_key', text)
      .addColumn('created_at', instant, (c) => c.notNull())
      .addColumn('expires_at', instant, (c) => c.notNull())
      .execute()
    await db.schema
      .createIndex('bucket_uploads_expires_at')
      .on('bucket_uploads')
      .column('expires_at')
      .execute()
    await db.schema
      .createTable('upload_locks')
      .addColumn('upload_id', text, (c) => c.primaryKey())
      .addColumn('owner', text, (c) => c.notNull())
      .addColumn('held_until', instant, (c) => c.notNull())
      .addColumn('is_wanted', boolean, (c) => c.notNull())
      .execute()
  }

  return { up }
}
