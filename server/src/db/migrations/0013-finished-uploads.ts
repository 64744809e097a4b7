import { sql, type Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import { columnTypes } from '../columns.ts'
import type { Engine } from '../database.ts'

/** What has been made a video, also when that was deleted since. */
export function finishedUploads(engine: Engine): Migration {
  const { text, instant } = columnTypes(engine)

  async function up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('finished_uploads')
      .addColumn('upload_id', text, (c) => c.primaryKey())
      .addColumn('finished_at', instant, (c) => c.notNull())
      .execute()
    await sql`insert into finished_uploads select upload_id, created_at from sources`.execute(db)
  }

  return { up }
}
