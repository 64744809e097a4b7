import { setImmediate as breathe } from 'node:timers/promises'
import { sql, type RawBuilder } from 'kysely'
import { transact, type Database, type Engine, type Transacting } from '../db/database.ts'
import type { VideoRow } from '../db/tables.ts'
import type { Cursor } from './cursor.ts'
import { areWordsMissing } from './missing-words.ts'
import { newestOnPostgres } from './newest-on-postgres.ts'
import { newestOnSqlite } from './newest-on-sqlite.ts'
import { indexedText, wordOfCategory } from './search-words.ts'

/** What is looked for. */
export interface Wanted {
  /** Beginnings of words, by `prefixesOf`: all of them have to be there, and there is at least one. */
  prefixes: string[]
  category?: string | undefined
}

export interface Page {
  /** Where the one before ended. */
  after: Cursor | null
  limit: number
}

/** The words of all videos. */
export interface SearchIndex {
  /** Takes in what has changed. */
  catchUp(): Promise<void>
  /** The ids found among what was taken in, as a statement that gives them as `video_id`. */
  found(wanted: Wanted): RawBuilder<unknown>
  /** How many that are. */
  count(wanted: Wanted): Promise<number>
  /** The ids of the newest found, in the order of the list: whatever has been committed when it is asked is found. */
  newest(wanted: Wanted, page: Page): Promise<number[]>
}

export function createSearchIndex({ db, engine }: { db: Database; engine: Engine }): SearchIndex {
  let running: Promise<void> | null = null

  async function takeIn(): Promise<void> {
    let done: number
    do {
      done = await transact(db, (trx) => indexBatch(trx, { waits: false }))
      // What others have locked, another server takes in now, or somebody changes: neither may be missed.
      if (done === 0) done = await transact(db, (trx) => indexBatch(trx, { waits: true }))
      await breathe()
    } while (done > 0)
  }

  function found(wanted: Wanted): RawBuilder<unknown> {
    return engine === 'sqlite'
      ? sql`select rowid as video_id from video_index where video_index match ${matchOf(wanted)}`
      : sql`select video_id from video_words where lexemes @@ ${queryOf(wanted)}::tsquery`
  }

  /** What runs may have looked before the last change. */
  async function waitForLast(): Promise<void> {
    await running?.catch(() => {})
  }

  async function takeInNow(): Promise<void> {
    running ??= takeIn().finally(() => (running = null))
    await running
  }

  async function catchUp(): Promise<void> {
    await waitForLast()
    if (await areWordsMissing(db)) await takeInNow()
  }

  async function newestWithPostgres(wanted: Wanted, page: Page): Promise<number[]> {
    const search = { db, query: queryOf(wanted) }
    await waitForLast()
    // Rarely is anything missing: that is asked for in the same statement.
    const first = await newestOnPostgres(search, page)
    if (!first.isBehind) return first.ids
    await takeInNow()
    return (await newestOnPostgres(search, page)).ids
  }

  return {
    catchUp,
    found,
    async count(wanted) {
      const counted =
        engine === 'sqlite'
          ? sql`select count(*) as "all" from (${found(wanted)}) as every`
          : sql`select count_with_words(${queryOf(wanted)}::tsquery) as "all"`
      const { rows } = await sql<{ all: number }>`${counted}`.execute(db)
      return rows[0]?.all ?? 0
    },

    async newest(wanted, page) {
      if (engine === 'postgres') return await newestWithPostgres(wanted, page)
      await catchUp()
      return await newestOnSqlite({ db, found: found(wanted) }, wanted, page)
    },
  }
}

/** FTS5's language. Words are letters and digits: nothing in them can end the quotes. */
function matchOf({ prefixes, category }: Wanted): string {
  const terms = prefixes.map((prefix) => `"${prefix}"*`)
  if (category !== undefined) terms.push(`"${wordOfCategory(category)}"`)
  return terms.join(' ')
}

/** The same as a tsquery. */
function queryOf({ prefixes, category }: Wanted): string {
  const terms = prefixes.map((prefix) => `'${prefix}':*`)
  if (category !== undefined) terms.push(`'${wordOfCategory(category)}'`)
  return terms.join(' & ')
}

type IndexedVideo = Pick<VideoRow, 'id' | 'title' | 'description' | 'category'>

const VIDEOS_AT_ONCE = 100

/** Gives some videos their words that have none; how many. It waits for those that others have locked, or leaves them. */
async function indexBatch(trx: Transacting, { waits }: { waits: boolean }): Promise<number> {
  const videos = await trx
    .selectFrom('video_words')
    .innerJoin('videos', 'videos.id', 'video_words.video_id')
    .select(['videos.id', 'videos.title', 'videos.description', 'videos.category'])
    .where('video_words.words', 'is', null)
    // Always the same order, so that no two wait for each other; and that of the index.
    .orderBy('video_words.words')
    .orderBy('video_words.video_id')
    .limit(VIDEOS_AT_ONCE)
    .forNoKeyUpdate('videos')
    .$if(!waits, (query) => query.skipLocked())
    .execute()
  if (videos.length > 0) await writeWords(trx, videos)
  return videos.length
}

async function writeWords(trx: Transacting, videos: IndexedVideo[]): Promise<void> {
  const fresh = videos.map((video) => sql`(cast(${video.id} as bigint), ${indexedText(video)})`)
  await sql`
    with fresh (id, words) as (values ${sql.join(fresh)})
    update video_words set words = fresh.words from fresh where video_id = fresh.id`.execute(trx)
}
