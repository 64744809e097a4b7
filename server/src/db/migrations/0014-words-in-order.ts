import { sql, type Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { Engine } from '../database.ts'

/** PostgreSQL looks through the words of the newest videos without a look at the videos. SQLite does not need it. */
export function wordsInOrder(engine: Engine): Migration {
  async function up(db: Kysely<unknown>): Promise<void> {
    if (engine === 'sqlite') return
    await sql`create index video_words_newest on video_words (created_at desc, video_id desc)`.execute(
      db,
    )
  }

  return { up }
}
