import { sql } from 'kysely'
import type { Database } from '../db/database.ts'
import type { RenditionRow, SourceRow, VideoRow } from '../db/tables.ts'
import type { MediaInfo } from '../media/media-info.ts'

/**
 * The reads of viewers: what they get to see and no more, as the list is asked for more often than all else. Two or
 * three statements, however many the videos are.
 */

export interface ShownVideo {
  video: Pick<VideoRow, 'id' | 'title' | 'description' | 'category' | 'created_at'>
  /** The source that plays; null until something was ready. */
  published:
    | (Pick<SourceRow, 'poster_key' | 'thumb_hash'> & {
        media_info: Pick<MediaInfo, 'durationMs'> | null
      })
    | null
  /** The source that was uploaded last. */
  newest: Pick<SourceRow, 'state' | 'error_message'> | null
  /** Of what plays, in no order. */
  renditions: Pick<RenditionRow, 'quality' | 'object_key'>[]
}

/** Where a video stands in the list. The time is as the database writes it: it is only ever compared there. */
export interface Place {
  createdAt: string
  id: number
}

/** All, newest first. */
export async function listShownVideos(db: Database): Promise<ShownVideo[]> {
  const rows = await videosFrom(db)
    .orderBy('videos.created_at', 'desc')
    .orderBy('videos.id', 'desc')
    .execute()
  const renditions = await renditionsFrom(db).execute()
  return assemble(rows, renditions)
}

/** All from one place of the list to another, both included. */
export async function listShownVideosFrom(
  db: Database,
  newest: Place,
  oldest: Place,
): Promise<ShownVideo[]> {
  // Ids first: PostgreSQL takes a stretch for a ninth of all videos, and would join that many.
  const rows = await db
    .selectFrom('videos')
    .select('id')
    .where(sql<boolean>`(created_at, id) <= (${newest.createdAt}, ${newest.id})`)
    .where(sql<boolean>`(created_at, id) >= (${oldest.createdAt}, ${oldest.id})`)
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .execute()
  return await findShownVideos(
    db,
    rows.map(({ id }) => id),
  )
}

export async function findShownVideo(db: Database, id: number): Promise<ShownVideo | null> {
  const [video] = await findShownVideos(db, [id])
  return video ?? null
}

/** Those of the ids that exist, in the order of the ids. */
export async function findShownVideos(db: Database, ids: number[]): Promise<ShownVideo[]> {
  if (ids.length === 0) return []
  const rows = await videosFrom(db).where('videos.id', 'in', ids).execute()
  const byId = new Map(rows.map((row) => [row.id, row]))
  return await withRenditions(
    db,
    ids.flatMap((id) => byId.get(id) ?? []),
  )
}

type Row = Awaited<ReturnType<ReturnType<typeof videosFrom>['executeTakeFirstOrThrow']>>

function videosFrom(db: Database) {
  return (
    db
      .selectFrom('videos')
      .leftJoin('sources as published', 'published.id', 'videos.published_source_id')
      .leftJoin('sources as newest', 'newest.id', 'videos.source_id')
      .select([
        'videos.id',
        'videos.title',
        'videos.description',
        'videos.category',
        'videos.created_at',
        'published.id as published_id',
        'published.poster_key',
        'published.thumb_hash',
        'newest.state',
        'newest.error_message',
      ])
      // The whole of it is large.
      .select(
        sql<number | null>`cast(published.media_info ->> 'durationMs' as double precision)`.as(
          'duration_ms',
        ),
      )
  )
}

type ShownRendition = Pick<RenditionRow, 'source_id' | 'quality' | 'object_key'>

function renditionsFrom(db: Database) {
  return db.selectFrom('renditions').select(['source_id', 'quality', 'object_key'])
}

async function withRenditions(db: Database, rows: Row[]): Promise<ShownVideo[]> {
  const sourceIds = rows.flatMap((row) => row.published_id ?? [])
  if (sourceIds.length === 0) return assemble(rows, [])
  return assemble(rows, await renditionsFrom(db).where('source_id', 'in', sourceIds).execute())
}

function assemble(rows: Row[], renditions: ShownRendition[]): ShownVideo[] {
  const bySource = Map.groupBy(renditions, (rendition) => rendition.source_id)
  return rows.map((row) => {
    const { published_id: publishedId, poster_key, thumb_hash, duration_ms: durationMs } = row
    const media_info = durationMs === null ? null : { durationMs }
    return {
      video: row,
      published: publishedId === null ? null : { poster_key, thumb_hash, media_info },
      newest: row.state === null ? null : { state: row.state, error_message: row.error_message },
      renditions: bySource.get(publishedId ?? -1) ?? [],
    }
  })
}
