import type { Database } from '../../server/src/db/database.ts'

/** Entries of the catalogue without films, written straight into the database; the last is the newest. */

export interface Entry {
  title: string
  description?: string
  category?: string
  createdAt?: Date
}

const FIRST = Date.parse('2026-01-01T00:00:00Z')

/** Returns their ids. */
export async function addVideos(db: Database, entries: Entry[]): Promise<number[]> {
  const ids: number[] = []
  for (let first = 0; first < entries.length; first += 500) {
    const rows = await db
      .insertInto('videos')
      .values(
        entries.slice(first, first + 500).map((entry, at) => ({
          title: entry.title,
          description: entry.description ?? '',
          category: entry.category ?? 'Other',
          // Three at once, so that ids have to decide as well.
          created_at: entry.createdAt ?? new Date(FIRST + Math.floor((first + at) / 3) * 1000),
          updated_at: new Date(FIRST),
          published_source_id: null,
          source_id: null,
        })),
      )
      .returning('id')
      .execute()
    ids.push(...rows.map(({ id }) => id))
  }
  return ids
}
