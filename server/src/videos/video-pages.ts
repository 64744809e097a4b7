import type { Database } from '../db/database.ts'
import { newestVideos, type ListPart } from './newest-videos.ts'
import type { SearchIndex } from './search-index.ts'

export interface PageQuery extends ListPart {
  /** Beginnings of words that must all be there (`prefixesOf`); null for all videos. */
  prefixes: string[] | null
  limit: number
}

/** Ids in the order of the list. */
export async function listPageIds(
  { db, index }: { db: Database; index: SearchIndex },
  { prefixes, category, after, limit }: PageQuery,
): Promise<number[]> {
  if (prefixes === null) {
    const newest = newestVideos(db, { category, after })
    const rows = await newest.select('videos.id').limit(limit).execute()
    return rows.map(({ id }) => id)
  }
  if (prefixes.length === 0) return []
  return await index.newest({ prefixes, category }, { after, limit })
}
