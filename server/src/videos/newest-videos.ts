import { sql, type RawBuilder, type SqlBool } from 'kysely'
import type { Database } from '../db/database.ts'
import { olderThan, type Cursor } from './cursor.ts'

/** Which part of the list. */
export interface ListPart {
  category?: string | undefined
  after: Cursor | null
}

/** Videos in the order of the list. */
export function newestVideos(db: Database, part: ListPart) {
  return db
    .selectFrom('videos')
    .where(within(part))
    .orderBy('videos.created_at', 'desc')
    .orderBy('videos.id', 'desc')
}

function within({ category, after }: ListPart): RawBuilder<SqlBool> {
  return category === undefined
    ? olderThan(after)
    : sql`videos.category = ${category} and ${olderThan(after)}`
}
