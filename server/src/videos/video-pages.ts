import type { Database } from '../db/database.ts'
import type { ListPart } from './newest-videos.ts'
import type { SearchIndex } from './search-index.ts'
import { findShownVideos, listNewestShown, type ShownVideo } from './shown-videos.ts'

export interface PageQuery extends ListPart {
  /** Beginnings of words that must all be there (`prefixesOf`); null for all videos. */
  prefixes: string[] | null
  limit: number
}

/** In the order of the list, and whether there are more. */
export async function listPage(
  { db, index }: { db: Database; index: SearchIndex },
  { prefixes, category, after, limit }: PageQuery,
): Promise<{ videos: ShownVideo[]; hasNext: boolean }> {
  if (prefixes === null) {
    const videos = await listNewestShown(db, { category, after }, limit + 1)
    return { videos: videos.slice(0, limit), hasNext: videos.length > limit }
  }
  if (prefixes.length === 0) return { videos: [], hasNext: false }
  const ids = await index.newest({ prefixes, category }, { after, limit: limit + 1 })
  return { videos: await findShownVideos(db, ids.slice(0, limit)), hasNext: ids.length > limit }
}
