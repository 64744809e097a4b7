import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import { columnTypes } from '../columns.ts'
import type { Engine } from '../database.ts'

export function webhooks(engine: Engine): Migration {
  const { text, integer, instant } = columnTypes(engine)

  async function up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('webhook_deliveries')
      .addColumn('id', text, (c) => c.primaryKey())
      .addColumn('event', text, (c) => c.notNull())
      .addColumn('video_id', integer)
      .addColumn('url', text, (c) => c.notNull())
      .addColumn('body', text, (c) => c.notNull())
      .addColumn('created_at', instant, (c) => c.notNull())
      .addColumn('attempts', integer, (c) => c.notNull().defaultTo(0))
      .addColumn('delivered_at', instant)
      .addColumn('failed_at', instant)
      .addColumn('last_status', integer)
      .addColumn('last_error', text)
      .execute()
    await db.schema
      .createIndex('webhook_deliveries_created_at')
      .on('webhook_deliveries')
      .columns(['created_at', 'id'])
      .execute()
  }

  return { up }
}
