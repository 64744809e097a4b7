import { sql } from 'kysely'
import type { Database } from '../db/database.ts'
import { ARE_WORDS_MISSING } from './missing-words.ts'
import type { Page } from './search-index.ts'

/**
 * What is found, in the order of the list, and whether there are videos with words that were not taken in. How it is found
 * is in the function `newest_with_words` (migration 0015).
 */
export async function newestOnPostgres(
  { db, query }: { db: Database; query: string },
  { after, limit }: Page,
): Promise<{ ids: number[]; isBehind: boolean }> {
  const { rows } = await sql<{ ids: number[]; isBehind: boolean }>`
    select
      to_json(array(select newest_with_words(
        ${query}::tsquery, ${after?.createdAt ?? null}, ${after?.id ?? null}, ${limit}
      ))) as ids,
      ${ARE_WORDS_MISSING} as "isBehind"`.execute(db)
  return rows[0] ?? { ids: [], isBehind: false }
}
