import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import { columnTypes } from '../columns.ts'
import type { Engine } from '../database.ts'

export function usersAndAudit(engine: Engine): Migration {
  const { text, integer, instant } = columnTypes(engine)

  async function up(db: Kysely<unknown>): Promise<void> {
    await db.schema.alterTable('users').addColumn('password_changed_at', instant).execute()
    await db.schema.alterTable('links').addColumn('email', text).execute()
    await db.schema.alterTable('audit').addColumn('by_user_id', integer).execute()
    for (const column of ['user_id', 'by_user_id', 'event']) {
      await db.schema.createIndex(`audit_${column}`).on('audit').columns([column, 'id']).execute()
    }
  }

  return { up }
}
