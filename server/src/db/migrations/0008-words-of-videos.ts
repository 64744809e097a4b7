import { sql, type Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import { columnTypes } from '../columns.ts'
import type { Engine } from '../database.ts'

/**
 * What videos are found by. Triggers empty the words of a video whenever its text changes, whoever writes it; a server
 * makes them anew (`videos/search-index.ts`), and those of all that is there now.
 */
export function wordsOfVideos(engine: Engine): Migration {
  const { text, integer } = columnTypes(engine)

  async function up(db: Kysely<unknown>): Promise<void> {
    // With this one the versions of all videos are read without their rows.
    await db.schema
      .createIndex('videos_listed')
      .on('videos')
      .columns(['created_at desc', 'id desc', 'updated_at'])
      .execute()
    await db.schema.dropIndex('videos_newest').execute()
    await db.schema
      .createIndex('videos_category')
      .on('videos')
      .columns(['category', 'created_at desc', 'id desc'])
      .execute()
    // What superusers filter by.
    await db.schema
      .createIndex('videos_published')
      .on('videos')
      .column('published_source_id')
      .execute()
    await db.schema.createIndex('videos_source').on('videos').column('source_id').execute()
    await db.schema.createIndex('sources_state').on('sources').column('state').execute()
    await db.schema
      .createTable('video_words')
      .addColumn('video_id', integer, (c) =>
        c.primaryKey().references('videos.id').onDelete('cascade'),
      )
      .addColumn('words', text)
      .execute()
    await db.schema
      .createIndex('video_words_missing')
      .on('video_words')
      .columns(['words', 'video_id'])
      .where(sql.ref('words'), 'is', null)
      .execute()
    for (const statement of engine === 'sqlite' ? ON_SQLITE : ON_POSTGRES) {
      await sql.raw(statement).execute(db)
    }
    await sql`insert into video_words (video_id) select id from videos`.execute(db)
  }

  return { up }
}

const ON_SQLITE = [
  // The words are separated by spaces already: the simplest tokenizer takes them as they are.
  `create virtual table video_index using fts5(
    words, content='', contentless_delete=1, detail=none, tokenize='ascii', prefix='1 2')`,
  `create trigger video_words_of_new after insert on videos begin
    insert into video_words (video_id) values (new.id); end`,
  `create trigger video_words_of_changed after update of title, description, category on videos
    when old.title <> new.title or old.description <> new.description or old.category <> new.category begin
    update video_words set words = null where video_id = new.id; end`,
  `create trigger video_words_indexed after update of words on video_words begin
    delete from video_index where rowid = old.video_id;
    insert into video_index (rowid, words) select new.video_id, new.words where new.words is not null; end`,
  `create trigger video_words_removed after delete on video_words begin
    delete from video_index where rowid = old.video_id; end`,
]

const ON_POSTGRES = [
  // Not by to_tsvector: its parser has an opinion on what a word is.
  `alter table video_words add column lexemes tsvector
    generated always as (array_to_tsvector(string_to_array(ltrim(words), ' '))) stored`,
  // Every search would read what is not merged yet.
  `create index video_words_lexemes on video_words using gin (lexemes) with (fastupdate = off)`,
  `create or replace function empty_video_words() returns trigger language plpgsql as $$ begin
    insert into video_words (video_id) values (new.id) on conflict (video_id) do update set words = null;
    return null; end $$`,
  `create trigger video_words_of_new after insert on videos
    for each row execute function empty_video_words()`,
  `create trigger video_words_of_changed after update of title, description, category on videos
    for each row when ((old.title, old.description, old.category) is distinct from
      (new.title, new.description, new.category))
    execute function empty_video_words()`,
]
