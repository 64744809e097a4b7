import { sql } from 'kysely'
import type { Database } from '../db/database.ts'
import { olderThan } from './cursor.ts'
import type { Page } from './search-index.ts'

/** How many videos are looked through at first: a third of a millisecond. */
const NEAREST = 1000
/** What so many of these have is found sooner among more of them than by the index. */
const OFTEN = 9
/** How many that are at most. */
const NEAR = 8000

/**
 * What many videos have is soon found by looking through them in the order of the list; what few have, by the index, which
 * has no order: all that it finds is read and sorted.
 */
export async function newestOnPostgres(
  { db, query }: { db: Database; query: string },
  page: Page,
): Promise<number[]> {
  const nearest = await lookThrough(db, query, page, NEAREST)
  if (nearest.length === page.limit) return nearest
  if (nearest.length >= OFTEN) {
    const near = await lookThrough(db, query, page, NEAR)
    if (near.length === page.limit) return near
  }
  return await sortFound(db, query, page)
}

/** Those that match among the next `count` videos. */
async function lookThrough(
  db: Database,
  query: string,
  { after, limit }: Page,
  count: number,
): Promise<number[]> {
  const isOlder = olderThan(after, sql`created_at, video_id`)
  // A `limit` within: without it PostgreSQL might rather ask the index, and sort all that it finds.
  const { rows } = await sql<{ id: number }>`
    select video_id as id from (
      select video_id, created_at, lexemes from video_words where ${isOlder}
      order by created_at desc, video_id desc limit ${count}
    ) as nearest
    where lexemes @@ ${query}::tsquery
    order by created_at desc, video_id desc limit ${limit}`.execute(db)
  return rows.map(({ id }) => id)
}

async function sortFound(db: Database, query: string, { after, limit }: Page): Promise<number[]> {
  const { rows } = await sql<{ id: number }>`
    select id from newest_with_words(
      ${query}::tsquery, ${after?.createdAt ?? null}, ${after?.id ?? null}, ${limit}
    ) as id`.execute(db)
  return rows.map(({ id }) => id)
}
