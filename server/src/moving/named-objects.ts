import type { Database } from '../db/database.ts'

/** An object that a row names. */
export interface NamedObject {
  store: 'media' | 'originals'
  key: string
}

const SOURCES_AT_ONCE = 200

/** Every object that must be there, as the rows have it; in no order. Reads in pages. */
export async function* listNamedObjects(db: Database): AsyncGenerator<NamedObject> {
  yield* namedBySources(db)
  yield* namedBySubtitles(db)
}

async function* namedBySources(db: Database): AsyncGenerator<NamedObject> {
  for (let after = 0; ;) {
    const sources = await db
      .selectFrom('sources')
      .select(['id', 'object_key', 'poster_key', 'storyboard', 'original_dropped_at'])
      .where('id', '>', after)
      .orderBy('id')
      .limit(SOURCES_AT_ONCE)
      .execute()
    const last = sources.at(-1)
    if (!last) return
    after = last.id
    for (const source of sources) {
      if (source.original_dropped_at === null) {
        yield { store: 'originals', key: source.object_key }
      }
      if (source.poster_key !== null) yield { store: 'media', key: source.poster_key }
      for (const key of source.storyboard?.sheets ?? []) yield { store: 'media', key }
    }
    const ids = sources.map(({ id }) => id)
    for (const table of ['renditions', 'audio_tracks'] as const) {
      const rows = await db
        .selectFrom(table)
        .select('object_key')
        .where('source_id', 'in', ids)
        .execute()
      for (const { object_key: key } of rows) if (key !== null) yield { store: 'media', key }
    }
  }
}

async function* namedBySubtitles(db: Database): AsyncGenerator<NamedObject> {
  for (let after = 0; ;) {
    const rows = await db
      .selectFrom('subtitles')
      .select(['id', 'object_key'])
      .where('id', '>', after)
      .orderBy('id')
      .limit(1000)
      .execute()
    const last = rows.at(-1)
    if (!last) return
    after = last.id
    for (const { object_key: key } of rows) yield { store: 'media', key }
  }
}
