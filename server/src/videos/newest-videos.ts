import { sql, type RawBuilder, type SqlBool } from 'kysely'
import type { Database } from '../db/database.ts'
import { olderThan, type Cursor } from './cursor.ts'

/** Which part of the list. */
export interface Stretch {
  category?: string | undefined
  after: Cursor | null
}

/** Videos in the order of the list. */
export function newestVideos(db: Database, stretch: Stretch) {
  return db
    .selectFrom('videos')
    .where(within(stretch))
    .orderBy('videos.created_at', 'desc')
    .orderBy('videos.id', 'desc')
}

function within({ category, after }: Stretch): RawBuilder<SqlBool> {
  return category === undefined
    ? olderThan(after)
    : sql`videos.category = ${category} and ${olderThan(after)}`
}
