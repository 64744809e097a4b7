import { setImmediate as breathe } from 'node:timers/promises'
import { sql, type RawBuilder, type SqlBool } from 'kysely'
import type { Database } from '../db/database.ts'
import { olderThan, type Cursor } from './cursor.ts'
import { newestVideos } from './newest-videos.ts'
import type { Page, Wanted } from './search-index.ts'

/** How many videos are looked through at first, and at once after that at most. */
const FIRST_SLICE = 250
const LARGEST_SLICE = 4000
/** What fewer of those looked through have than this part is found sooner by the index. */
const RARE = 1 / 50
/** More than these are not sorted. */
const MOST_SORTED = 2000

/**
 * What many videos have is soon found by looking through them in the order of the list; what few have, by the index, which
 * has no order. What many have, but none of the nearest, takes longer. In slices: SQLite answers within our own thread.
 */
export async function newestOnSqlite(
  { db, found }: { db: Database; found: RawBuilder<unknown> },
  wanted: Wanted,
  page: Page,
): Promise<number[]> {
  const { after, limit } = page
  const ids: number[] = []
  let [seen, slice, isAsked] = [0, FIRST_SLICE, false]
  for (let from = after; ; slice = sliceForTheRest(limit - ids.length, ids.length / seen)) {
    const rest = { after: from, limit: limit - ids.length }
    const walked = await walk(db, wanted, rest, slice)
    ids.push(...walked.ids)
    if (ids.length === limit || walked.end === null) return ids
    from = walked.end
    seen += slice
    if (!isAsked && ids.length < seen * RARE) {
      const sorted = await sortFound({ db, found }, page)
      if (sorted) return sorted
      isAsked = true
    }
    await breathe()
  }
}

/** A third more than it takes if they come as often as until now. */
function sliceForTheRest(rest: number, part: number): number {
  return Math.ceil(Math.min(Math.max(FIRST_SLICE, (1.3 * rest) / part), LARGEST_SLICE))
}

/** Those that match among the next `count` videos, and where that ends: null if there are no more. */
async function walk(
  db: Database,
  { prefixes, category }: Wanted,
  { after, limit }: Page,
  count: number,
): Promise<{ ids: number[]; end: Cursor | null }> {
  const nearest = newestVideos(db, { category, after })
    .select(['videos.id', 'videos.created_at'])
    // No join: SQLite that has counted wrongly would read all words for it.
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
    .where((eb) => eb.and(prefixes.map(hasWord)))
    .orderBy('nearest.created_at', 'desc')
    .orderBy('nearest.id', 'desc')
    .limit(limit)
    .execute()
  const ids = rows.map(({ id }) => id)
  if (ids.length === limit) return { ids, end: null }
  const last = await newestVideos(db, { category, after })
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

/** What the index finds, sorted. Null where that is so much that to sort it would take long. */
async function sortFound(
  { db, found }: { db: Database; found: RawBuilder<unknown> },
  { after, limit }: Page,
): Promise<number[] | null> {
  // `cross join`: the index is to be asked once, and not for each video.
  const { rows } = await sql<{ id: number; many: number }>`
    with found as materialized (select video_id from (${found}) as every limit ${MOST_SORTED + 1})
    select videos.id as id, (select count(*) from found) as many from found cross join videos
    where videos.id = found.video_id and ${olderThan(after)}
    order by videos.created_at desc, videos.id desc limit ${limit}`.execute(db)
  const [first] = rows
  return first && first.many > MOST_SORTED ? null : rows.map(({ id }) => id)
}
