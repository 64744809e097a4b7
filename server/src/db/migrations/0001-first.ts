import { sql, type Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import { columnTypes } from '../columns.ts'
import type { Engine } from '../database.ts'

export function first(engine: Engine): Migration {
  const { text, boolean, integer, instant, json, id, asId } = columnTypes(engine)

  async function up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('users')
      .addColumn('id', id, asId)
      .addColumn('email', text, (c) => c.notNull().unique())
      .addColumn('username', text)
      .addColumn('password_hash', text, (c) => c.notNull())
      .addColumn('phone', text)
      .addColumn('address', text)
      .addColumn('is_active', boolean, (c) => c.notNull())
      .addColumn('confirmed_at', instant)
      .addColumn('is_superuser', boolean, (c) => c.notNull())
      .addColumn('created_at', instant, (c) => c.notNull())
      .addColumn('last_login_at', instant)
      .execute()

    await db.schema
      .createTable('sessions')
      .addColumn('id', text, (c) => c.primaryKey())
      .addColumn('user_id', integer, (c) => c.notNull().references('users.id').onDelete('cascade'))
      .addColumn('key', text, (c) => c.notNull())
      .addColumn('counter', integer, (c) => c.notNull())
      .addColumn('rotated_at', instant, (c) => c.notNull())
      .addColumn('expires_at', instant, (c) => c.notNull())
      .addColumn('is_remembered', boolean, (c) => c.notNull())
      .addColumn('revoked_at', instant)
      .addColumn('user_agent', text, (c) => c.notNull())
      .addColumn('address', text, (c) => c.notNull())
      .addColumn('created_at', instant, (c) => c.notNull())
      .execute()
    await db.schema
      .createIndex('sessions_user_id')
      .on('sessions')
      .columns(['user_id', 'revoked_at'])
      .execute()
    await db.schema.createIndex('sessions_expires_at').on('sessions').column('expires_at').execute()

    await db.schema
      .createTable('links')
      .addColumn('token_hash', text, (c) => c.primaryKey())
      .addColumn('purpose', text, (c) => c.notNull())
      .addColumn('user_id', integer, (c) => c.notNull().references('users.id').onDelete('cascade'))
      .addColumn('password_fingerprint', text, (c) => c.notNull())
      .addColumn('expires_at', instant, (c) => c.notNull())
      .addColumn('consumed_at', instant)
      .addColumn('created_at', instant, (c) => c.notNull())
      .execute()
    await db.schema
      .createIndex('links_user_id')
      .on('links')
      .columns(['user_id', 'purpose'])
      .execute()

    await db.schema
      .createTable('videos')
      .addColumn('id', id, asId)
      .addColumn('title', text, (c) => c.notNull().unique())
      .addColumn('description', text, (c) => c.notNull())
      .addColumn('category', text, (c) => c.notNull())
      .addColumn('created_at', instant, (c) => c.notNull())
      .addColumn('updated_at', instant, (c) => c.notNull())
      .addColumn('published_source_id', integer)
      .addColumn('source_id', integer)
      .execute()
    await db.schema
      .createIndex('videos_newest')
      .on('videos')
      .columns(['created_at desc', 'id desc'])
      .execute()

    await db.schema.createIndex('videos_updated_at').on('videos').column('updated_at').execute()

    await db.schema
      .createTable('sources')
      .addColumn('id', id, asId)
      .addColumn('video_id', integer, (c) =>
        c.notNull().references('videos.id').onDelete('cascade'),
      )
      .addColumn('upload_id', text, (c) => c.notNull().unique())
      .addColumn('object_key', text, (c) => c.notNull().unique())
      .addColumn('file_name', text, (c) => c.notNull())
      .addColumn('size_bytes', integer, (c) => c.notNull())
      .addColumn('sha256', text)
      .addColumn('state', text, (c) => c.notNull())
      .addColumn('error_code', text)
      .addColumn('error_message', text)
      .addColumn('media_info', json)
      .addColumn('poster_key', text, (c) => c.unique())
      .addColumn('created_at', instant, (c) => c.notNull())
      .addColumn('updated_at', instant, (c) => c.notNull())
      .execute()
    await db.schema.createIndex('sources_video_id').on('sources').column('video_id').execute()

    await db.schema
      .createTable('renditions')
      .addColumn('id', id, asId)
      .addColumn('source_id', integer, (c) =>
        c.notNull().references('sources.id').onDelete('cascade'),
      )
      .addColumn('quality', text, (c) => c.notNull())
      .addColumn('object_key', text, (c) => c.notNull().unique())
      .addColumn('width', integer, (c) => c.notNull())
      .addColumn('height', integer, (c) => c.notNull())
      .addColumn('size_bytes', integer, (c) => c.notNull())
      .addColumn('bitrate_bps', integer, (c) => c.notNull())
      .addColumn('codecs', text, (c) => c.notNull())
      .addUniqueConstraint('renditions_once', ['source_id', 'quality'])
      .execute()

    await db.schema
      .createTable('favorites')
      .addColumn('user_id', integer, (c) => c.notNull().references('users.id').onDelete('cascade'))
      .addColumn('video_id', integer, (c) =>
        c.notNull().references('videos.id').onDelete('cascade'),
      )
      .addColumn('created_at', instant, (c) => c.notNull())
      .addPrimaryKeyConstraint('favorites_once', ['user_id', 'video_id'])
      .execute()
    await db.schema.createIndex('favorites_video_id').on('favorites').column('video_id').execute()

    await db.schema
      .createTable('tasks')
      .addColumn('id', id, asId)
      .addColumn('kind', text, (c) => c.notNull())
      .addColumn('payload', json, (c) => c.notNull())
      .addColumn('subject', text, (c) => c.notNull())
      .addColumn('due_at', instant, (c) => c.notNull())
      .addColumn('attempts', integer, (c) => c.notNull().defaultTo(0))
      .addColumn('failures', integer, (c) => c.notNull().defaultTo(0))
      .addColumn('lease_owner', text)
      .addColumn('lease_token', integer, (c) => c.notNull().defaultTo(0))
      .addColumn('lease_until', instant)
      .addColumn('progress', json)
      .addColumn('last_error', text)
      .addColumn('created_at', instant, (c) => c.notNull())
      .addColumn('finished_at', instant)
      .addColumn('outcome', text)
      .execute()
    await db.schema
      .createIndex('tasks_due')
      .on('tasks')
      .columns(['kind', 'due_at'])
      .where(sql.ref('finished_at'), 'is', null)
      .execute()
    await db.schema.createIndex('tasks_subject').on('tasks').column('subject').execute()

    await db.schema
      .createTable('audit')
      .addColumn('id', id, asId)
      .addColumn('at', instant, (c) => c.notNull())
      .addColumn('event', text, (c) => c.notNull())
      .addColumn('user_id', integer)
      .addColumn('address', text)
      .addColumn('details', json, (c) => c.notNull())
      .execute()
    await db.schema.createIndex('audit_at').on('audit').column('at').execute()
  }

  return { up }
}
