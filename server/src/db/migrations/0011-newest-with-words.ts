import { sql, type Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { Engine } from '../database.ts'

/**
 * PostgreSQL sorts what it has found without a look at the videos. SQLite reads those fast enough.
 *
 * It is a function for its setting: with a `limit` before its eyes PostgreSQL reads the table rather than the index as
 * soon as it thinks that many rows will be found.
 */
export function newestWithWords(engine: Engine): Migration {
  async function up(db: Kysely<unknown>): Promise<void> {
    if (engine === 'sqlite') return
    for (const statement of ON_POSTGRES) await sql.raw(statement).execute(db)
  }

  return { up }
}

const ON_POSTGRES = [
  // In the order of those who write: servers of the version before may still run.
  `lock table videos, video_words in access exclusive mode`,
  `alter table video_words add column created_at timestamptz(3) not null default 'epoch'`,
  `update video_words set created_at = videos.created_at from videos where videos.id = video_id`,
  `alter table video_words alter column created_at drop default`,
  `create or replace function empty_video_words() returns trigger language plpgsql as $$ begin
    insert into video_words (video_id, created_at) values (new.id, new.created_at)
      on conflict (video_id) do update set words = null, created_at = new.created_at;
    return null; end $$`,
  `drop trigger video_words_of_changed on videos`,
  `create trigger video_words_of_changed after update of title, description, category, created_at on videos
    for each row when ((old.title, old.description, old.category, old.created_at) is distinct from
      (new.title, new.description, new.category, new.created_at))
    execute function empty_video_words()`,
  `create or replace function newest_with_words(wanted tsquery, before timestamptz, before_id bigint, most bigint)
    returns setof bigint language sql stable set enable_seqscan = off as $$
      select video_id from video_words
      where lexemes @@ wanted and (before is null or (created_at, video_id) < (before, before_id))
      order by created_at desc, video_id desc limit most $$`,
]
