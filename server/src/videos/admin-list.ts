import { sql, type RawBuilder, type SqlBool } from 'kysely'
import type { Database } from '../db/database.ts'
import type { SearchIndex } from './search-index.ts'
import { prefixesOf } from './search-words.ts'

export interface VideoFilter {
  search?: string | undefined
  category?: string | undefined
  state?: string | undefined
}

export interface VideoPage {
  offset: number
  limit: number
  ordering: 'created_at' | '-created_at' | 'title' | '-title'
}

/** What is asked for, in words of the index. */
export interface VideoQuery extends VideoFilter {
  prefixes: string[] | null
}

interface Needs {
  db: Database
  index: SearchIndex
}

/** Whatever has been committed by now is found. Null if nothing can be. */
export async function toQuery(index: SearchIndex, filter: VideoFilter): Promise<VideoQuery | null> {
  const prefixes = prefixesOf(filter.search)
  if (prefixes?.length === 0) return null
  if (prefixes) await index.catchUp()
  return { ...filter, prefixes }
}

/** Pages beyond are sorted by the database. */
const NEAR = 1000

/** One page. */
export async function listVideoIds(
  { db, index }: Needs,
  query: VideoQuery,
  { offset, limit, ordering }: VideoPage,
): Promise<number[]> {
  const { prefixes, category, state } = query
  const end = offset + limit
  if (prefixes && !state && ordering === '-created_at' && end <= NEAR) {
    const ids = await index.newest({ prefixes, category }, { after: null, limit: end })
    return ids.slice(offset)
  }
  const direction = ordering.startsWith('-') ? 'desc' : 'asc'
  const column = ordering.endsWith('title') ? 'title' : 'created_at'
  const rows = await db
    .selectFrom('videos')
    .select('id')
    .where((eb) => eb.and(conditions(query, index)))
    .orderBy(column, direction)
    .orderBy('id', direction)
    .offset(offset)
    .limit(limit)
    .execute()
  return rows.map(({ id }) => id)
}

/** All that match. */
export async function countVideos({ db, index }: Needs, query: VideoQuery): Promise<number> {
  const { prefixes, category, state } = query
  // The index alone knows.
  if (prefixes && !state) return await index.count({ prefixes, category })
  const matching = db.selectFrom('videos').where((eb) => eb.and(conditions(query, index)))
  const { all } = await matching
    .select((eb) => eb.fn.countAll<number>().as('all'))
    .executeTakeFirstOrThrow()
  return all
}

function conditions(
  { prefixes, category, state }: VideoQuery,
  index: SearchIndex,
): RawBuilder<SqlBool>[] {
  const list: RawBuilder<SqlBool>[] = []
  if (prefixes) list.push(sql<SqlBool>`videos.id in (${index.found({ prefixes, category })})`)
  if (category) list.push(sql<SqlBool>`videos.category = ${category}`)
  if (state === 'ready') list.push(sql<SqlBool>`videos.published_source_id is not null`)
  // Of the newest source: a replacement that failed is found, though the old version plays.
  else if (state) {
    list.push(sql<SqlBool>`videos.source_id in (select id from sources where state = ${state})`)
  }
  return list
}
