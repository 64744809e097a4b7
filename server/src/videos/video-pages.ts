import { setImmediate as breathe } from 'node:timers/promises'
import { sql, type RawBuilder, type SqlBool } from 'kysely'
import type { Database } from '../db/database.ts'
import { invalid } from '../errors.ts'
import type { SearchIndex } from './search-index.ts'

/** Where a page ends. Videos that come or go elsewhere do not move it. */
export interface Cursor {
  createdAt: Date
  id: number
}

/** Opaque to clients. */
export function toCursor({ createdAt, id }: Cursor): string {
  return Buffer.from(`${createdAt.getTime()} ${id}`).toString('base64url')
}

/** Throws `invalid` for what `toCursor` did not make. */
export function readCursor(text: string): Cursor {
  const [, time = '', id = ''] =
    /^(\d{1,14}) (\d{1,15})$/.exec(Buffer.from(text, 'base64url').toString('latin1')) ?? []
  const cursor = { createdAt: new Date(Number(time)), id: Number(id) }
  if (time === '' || toCursor(cursor) !== text) {
    throw invalid({
      cursor: ['This is no cursor of ours: follow the link to the next page, or begin without.'],
    })
  }
  return cursor
}

export interface PageQuery {
  /** Beginnings of words that must all be there (`prefixesOf`); null for all videos. */
  prefixes: string[] | null
  category?: string | undefined
  after: Cursor | null
  limit: number
}

/** How many videos are looked through before the index is asked, and at once after that. */
const NEAREST = 1000
const SLICE = 4000
/** More found by the index are not sorted: one of so many is soon come by. */
const MANY = 2000

/**
 * Ids in the order of the list. What many videos have is soon found by looking through them in that order. What few have
 * is found by the index, which has no order. What many have, but none of the nearest, takes longer, and is looked for
 * in slices: SQLite answers within our own thread.
 */
export async function listPageIds(
  needs: { db: Database; index: SearchIndex },
  query: PageQuery,
): Promise<number[]> {
  const { db, index } = needs
  if (query.prefixes === null) return await listNewest(db, query)
  if (query.prefixes.length === 0) return []
  await index.catchUp()
  let walked = await walk(db, query, NEAREST)
  const { ids } = walked
  if (ids.length === query.limit || walked.end === null) return ids
  const few = await findFew(needs, query)
  if (few) return few
  while (ids.length < query.limit && walked.end !== null) {
    await breathe()
    const rest = { ...query, after: walked.end, limit: query.limit - ids.length }
    walked = await walk(db, rest, SLICE)
    ids.push(...walked.ids)
  }
  return ids
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

function within({ category, after }: Pick<PageQuery, 'category' | 'after'>): RawBuilder<SqlBool> {
  const conditions = [sql<SqlBool>`1 = 1`]
  if (category !== undefined) conditions.push(sql`videos.category = ${category}`)
  if (after) {
    conditions.push(sql`(videos.created_at, videos.id) < (${after.createdAt}, ${after.id})`)
  }
  return sql.join(conditions, sql` and `)
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

/** By the index; null if there are many. */
async function findFew(
  { db, index }: { db: Database; index: SearchIndex },
  { prefixes, category, after, limit }: PageQuery,
): Promise<number[] | null> {
  const found = index.found({ prefixes: prefixes ?? [], category })
  // `cross join`: SQLite is to ask the index once, and not for each video.
  const { rows } = await sql<{ id: number; many: number }>`
    with found as materialized (select video_id from (${found}) as every limit ${MANY + 1})
    select videos.id as id, (select count(*) from found) as many from found cross join videos
    where videos.id = found.video_id and ${within({ after })}
    order by videos.created_at desc, videos.id desc limit ${limit}`.execute(db)
  const [first] = rows
  return first && first.many > MANY ? null : rows.map(({ id }) => id)
}
