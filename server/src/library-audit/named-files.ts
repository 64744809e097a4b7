import type { Database } from '../db/database.ts'
import type { SourceRow } from '../db/tables.ts'

/** What must be there, as a row has it. */
export interface NamedFile {
  store: 'media' | 'originals'
  key: string
  /** Null where no row tells it. */
  sizeBytes: number | null
  /** Picture or sound, in fragments. */
  isFilm: boolean
}

/** Of a source that is not in work: its original, and what of it can be played. */
export async function listFiles(db: Database, source: SourceRow): Promise<NamedFile[]> {
  const { object_key: key, size_bytes: sizeBytes, original_dropped_at: droppedAt } = source
  const original = { store: 'originals', key, sizeBytes, isFilm: false } as const
  const isPlayable = source.state === 'ready' || (await isPublished(db, source))
  return [
    ...(droppedAt === null ? [original] : []),
    ...(isPlayable ? [...(await listFilms(db, source)), ...(await listOthers(db, source))] : []),
  ]
}

async function listFilms(db: Database, { id }: SourceRow): Promise<NamedFile[]> {
  const films = await Promise.all(
    (['renditions', 'audio_tracks'] as const).map((table) =>
      db
        .selectFrom(table)
        .select(['object_key', 'size_bytes'])
        .where('source_id', '=', id)
        .execute(),
    ),
  )
  return films
    .flat()
    .flatMap(({ object_key: key, size_bytes: sizeBytes }) =>
      key === null ? [] : [{ store: 'media', key, sizeBytes, isFilm: true }],
    )
}

async function listOthers(db: Database, source: SourceRow): Promise<NamedFile[]> {
  const subtitles = await db
    .selectFrom('subtitles')
    .select('object_key')
    .where('video_id', '=', source.video_id)
    .where((eb) => eb.or([eb('source_id', '=', source.id), eb('source_id', 'is', null)]))
    .execute()
  const keys = [
    source.poster_key,
    ...(source.storyboard?.sheets ?? []),
    ...subtitles.map((row) => row.object_key),
  ]
  return keys.flatMap((key) =>
    key === null ? [] : [{ store: 'media', key, sizeBytes: null, isFilm: false }],
  )
}

async function isPublished(db: Database, { id, video_id: videoId }: SourceRow): Promise<boolean> {
  const row = await db
    .selectFrom('videos')
    .select('id')
    .where('id', '=', videoId)
    .where('published_source_id', '=', id)
    .executeTakeFirst()
  return row !== undefined
}
