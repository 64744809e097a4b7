import { setImmediate as breathe } from 'node:timers/promises'
import { sql, type RawBuilder, type SqlBool } from 'kysely'
import type { Database } from '../db/database.ts'
import { olderThan, type Cursor } from './cursor.ts'
import type { SearchIndex } from './search-index.ts'

export interface PageQuery {
  /** Beginnings of words that must all be there (`prefixesOf`); null for all videos. */
  prefixes: string[] | null
  category?: string | undefined
  after: Cursor | null
  limit: number
}

/** How many videos are looked through at first, and at once after that at most. */
const FIRST_SLICE = 250
const LARGEST_SLICE = 4000
/** What fewer of those looked through have than this part is found sooner by the index. */
const RARE = 1 / 50

/**
 * Ids in the order of the list. What many videos have is soon found by looking through them in that order; what few have,
 * by the index, which has no order. What many have, but none of the nearest, takes longer. In slices: SQLite answers
 * within our own thread.
 */
export async function listPageIds(
  needs: { db: Database; index: SearchIndex },
  query: PageQuery,
): Promise<number[]> {
  const { db, index } = needs
  const { prefixes, category, after, limit } = query
  if (prefixes === null) return await listNewest(db, query)
  if (prefixes.length === 0) return []
  await index.catchUp()
  const ids: number[] = []
  let [seen, slice, isAsked] = [0, FIRST_SLICE, false]
  for (let from = after; ; slice = sliceForTheRest(limit - ids.length, ids.length / seen)) {
    const walked = await walk(db, { ...query, after: from, limit: limit - ids.length }, slice)
    ids.push(...walked.ids)
    if (ids.length === limit || walked.end === null) return ids
    from = walked.end
    seen += slice
    if (!isAsked && ids.length < seen * RARE) {
      const found = await index.newestFound({ prefixes, category }, { after, limit })
      if (found) return found
      isAsked = true
    }
    await breathe()
  }
}

/** A third more than it takes if they come as often as until now. */
function sliceForTheRest(rest: number, part: number): number {
  return Math.ceil(Math.min(Math.max(FIRST_SLICE, (1.3 * rest) / part), LARGEST_SLICE))
}

async function listNewest(db: Database, query: PageQuery): Promise<number[]> {
  const rows = await newest(db, query).select('videos.id').limit(query.limit).execute()
  return rows.map(({ id }) => id)
}

function newest(db: Database, query: PageQuery) {
  return db
    .selectFrom('videos')
    .where(within(query))
    .orderBy('videos.created_at', 'desc')
    .orderBy('videos.id', 'desc')
}

function within({ category, after }: PageQuery): RawBuilder<SqlBool> {
  return category === undefined
    ? olderThan(after)
    : sql`videos.category = ${category} and ${olderThan(after)}`
}

/** Those that match among the next `count` videos, and where that ends: null if there are no more. */
async function walk(
  db: Database,
  query: PageQuery,
  count: number,
): Promise<{ ids: number[]; end: Cursor | null }> {
  const nearest = newest(db, query)
    .select(['videos.id', 'videos.created_at'])
    // No join: an engine that has counted wrongly would read all words for it.
    .select((eb) =>
      eb
        .selectFrom('video_words')
        .select('words')
        .whereRef('video_words.video_id', '=', 'videos.id')
        .as('words'),
    )
    .limit(count)
    .as('nearest')
  const rows = await db
    .selectFrom(nearest)
    .select('nearest.id')
    .where((eb) => eb.and((query.prefixes ?? []).map(hasWord)))
    .orderBy('nearest.created_at', 'desc')
    .orderBy('nearest.id', 'desc')
    .limit(query.limit)
    .execute()
  const ids = rows.map(({ id }) => id)
  if (ids.length === query.limit) return { ids, end: null }
  const last = await newest(db, query)
    .select(['videos.id', 'videos.created_at'])
    .offset(count - 1)
    .limit(1)
    .executeTakeFirst()
  return { ids, end: last ? { createdAt: last.created_at, id: last.id } : null }
}

/** A prefix has no character that `like` takes for another. */
function hasWord(prefix: string): RawBuilder<SqlBool> {
  return sql`nearest.words like ${`% ${prefix}%`}`
}
