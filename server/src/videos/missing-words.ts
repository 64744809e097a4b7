import { sql } from 'kysely'
import type { Database } from '../db/database.ts'

/**
 * Whether there are videos with words that were not taken in; 1 or 0 on SQLite. In the order of its index: PostgreSQL may
 * think that many are missing, and read the table until it finds one.
 */
export const ARE_WORDS_MISSING = sql<boolean>`(
  select video_id from video_words where words is null order by words, video_id limit 1
) is not null`

export async function areWordsMissing(db: Database): Promise<boolean> {
  const { rows } = await sql<{
    are: boolean | number
  }>`select ${ARE_WORDS_MISSING} as "are"`.execute(db)
  return Boolean(rows[0]?.are)
}
