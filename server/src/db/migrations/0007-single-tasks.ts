import { sql, type Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'

/** Of the sweep for orphans, one is to come and no more, however many workers start at once. */
export function singleTasks(): Migration {
  async function up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createIndex('tasks_single')
      .unique()
      .on('tasks')
      .column('kind')
      .where(sql<boolean>`finished_at is null and kind = 'sweep_orphans'`)
      .execute()
  }

  return { up }
}
