import { sql, type Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import { columnTypes } from '../columns.ts'
import type { Engine } from '../database.ts'

/** The lanes of then. What is in none of them is quick. */
const LANES = {
  media: ['encode_part'],
  files: ['process_source', 'copy_streams', 'extract_subtitles', 'package_rungs'],
  webhooks: ['send_webhook'],
}

interface Before {
  tasks: { kind: string; lane: string }
}

/**
 * A claim reads the first entry of an index instead of sorting all that is due, and a sweep neither reads every task that
 * is waiting nor every one that is done.
 */
export function lanesOfTasks(engine: Engine): Migration {
  const { text } = columnTypes(engine)

  async function up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .alterTable('tasks')
      // The default is for servers of the version before, while the last of them run.
      .addColumn('lane', text, (c) => c.notNull().defaultTo('quick'))
      .execute()
    for (const [lane, kinds] of Object.entries(LANES)) {
      await (db as Kysely<Before>)
        .updateTable('tasks')
        .set({ lane })
        .where('kind', 'in', kinds)
        .execute()
    }
    await db.schema.dropIndex('tasks_due').execute()
    await db.schema
      .createIndex('tasks_due')
      .on('tasks')
      .columns(['lane', 'priority', 'due_at', 'id'])
      .where(sql.ref('finished_at'), 'is', null)
      .execute()
    await db.schema
      .createIndex('tasks_held')
      .on('tasks')
      .column('lease_owner')
      .where(sql.ref('lease_owner'), 'is not', null)
      .execute()
    await db.schema
      .createIndex('tasks_finished_at')
      .on('tasks')
      .column('finished_at')
      .where(sql.ref('finished_at'), 'is not', null)
      .execute()
  }

  return { up }
}
