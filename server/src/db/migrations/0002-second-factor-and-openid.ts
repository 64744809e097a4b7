import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import { columnTypes } from '../columns.ts'
import type { Engine } from '../database.ts'

export function secondFactorAndOpenId(engine: Engine): Migration {
  const { text, integer, instant } = columnTypes(engine)

  async function up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('totp')
      .addColumn('user_id', integer, (c) =>
        c.primaryKey().references('users.id').onDelete('cascade'),
      )
      .addColumn('sealed_secret', text, (c) => c.notNull())
      .addColumn('confirmed_at', instant)
      .addColumn('last_step', integer, (c) => c.notNull().defaultTo(0))
      .addColumn('failures', integer, (c) => c.notNull().defaultTo(0))
      .addColumn('blocked_until', instant)
      .addColumn('created_at', instant, (c) => c.notNull())
      .execute()

    await db.schema
      .createTable('recovery_codes')
      .addColumn('user_id', integer, (c) => c.notNull().references('users.id').onDelete('cascade'))
      .addColumn('code_hash', text, (c) => c.notNull())
      .addColumn('used_at', instant)
      .addColumn('created_at', instant, (c) => c.notNull())
      .addPrimaryKeyConstraint('recovery_codes_once', ['user_id', 'code_hash'])
      .execute()

    await db.schema
      .createTable('identities')
      .addColumn('issuer', text, (c) => c.notNull())
      .addColumn('subject', text, (c) => c.notNull())
      .addColumn('user_id', integer, (c) => c.notNull().references('users.id').onDelete('cascade'))
      .addColumn('created_at', instant, (c) => c.notNull())
      .addPrimaryKeyConstraint('identities_once', ['issuer', 'subject'])
      .addUniqueConstraint('identities_one_for_a_user', ['user_id', 'issuer'])
      .execute()
  }

  return { up }
}
