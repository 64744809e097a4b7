import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import { columnTypes } from '../columns.ts'
import type { Engine } from '../database.ts'

export function stepsAndFragments(engine: Engine): Migration {
  const { text, boolean, integer, instant, json, id, asId } = columnTypes(engine)

  async function up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .alterTable('tasks')
      .addColumn('priority', integer, (c) => c.notNull().defaultTo(0))
      .execute()

    for (const [name, type] of [
      ['plan', json],
      ['storyboard', json],
      ['thumb_hash', text],
      ['original_dropped_at', instant],
    ] as const) {
      await db.schema.alterTable('sources').addColumn(name, type).execute()
    }
    await db.schema.alterTable('renditions').addColumn('frame_rate', text).execute()
    await db.schema.alterTable('renditions').addColumn('peak_bps', integer).execute()

    await db.schema
      .createTable('steps')
      .addColumn('id', id, asId)
      .addColumn('source_id', integer, (c) =>
        c.notNull().references('sources.id').onDelete('cascade'),
      )
      .addColumn('name', text, (c) => c.notNull())
      .addColumn('kind', text, (c) => c.notNull())
      .addColumn('part', json, (c) => c.notNull())
      .addColumn('state', text, (c) => c.notNull())
      .addColumn('task_id', integer)
      .addColumn('attempts', integer, (c) => c.notNull().defaultTo(0))
      .addColumn('command', text)
      .addColumn('output', text)
      .addColumn('error_code', text)
      .addColumn('error_message', text)
      .addColumn('result', json)
      .addColumn('started_at', instant)
      .addColumn('finished_at', instant)
      .addUniqueConstraint('steps_once', ['source_id', 'name'])
      .execute()

    await db.schema
      .createTable('fragment_indexes')
      .addColumn('object_key', text, (c) => c.primaryKey())
      .addColumn('source_id', integer, (c) =>
        c.notNull().references('sources.id').onDelete('cascade'),
      )
      .addColumn('fragments', json, (c) => c.notNull())
      .execute()
    await db.schema
      .createIndex('fragment_indexes_source_id')
      .on('fragment_indexes')
      .column('source_id')
      .execute()

    await db.schema
      .createTable('audio_tracks')
      .addColumn('id', id, asId)
      .addColumn('source_id', integer, (c) =>
        c.notNull().references('sources.id').onDelete('cascade'),
      )
      .addColumn('position', integer, (c) => c.notNull())
      .addColumn('object_key', text, (c) => c.unique())
      .addColumn('language', text)
      .addColumn('label', text, (c) => c.notNull())
      .addColumn('codec', text, (c) => c.notNull())
      .addColumn('channels', integer, (c) => c.notNull())
      .addColumn('bitrate_bps', integer, (c) => c.notNull())
      .addColumn('peak_bps', integer, (c) => c.notNull())
      .addColumn('size_bytes', integer, (c) => c.notNull())
      .addUniqueConstraint('audio_tracks_once', ['source_id', 'position'])
      .execute()

    await db.schema
      .createTable('subtitles')
      .addColumn('id', id, asId)
      .addColumn('video_id', integer, (c) =>
        c.notNull().references('videos.id').onDelete('cascade'),
      )
      .addColumn('source_id', integer, (c) => c.references('sources.id').onDelete('cascade'))
      .addColumn('object_key', text, (c) => c.notNull().unique())
      .addColumn('language', text)
      .addColumn('label', text, (c) => c.notNull())
      .addColumn('is_forced', boolean, (c) => c.notNull())
      .addColumn('created_at', instant, (c) => c.notNull())
      .execute()
    await db.schema.createIndex('subtitles_video_id').on('subtitles').column('video_id').execute()
  }

  return { up }
}
