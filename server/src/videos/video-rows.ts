import { sql } from 'kysely'
import type { Database } from '../db/database.ts'
import type { RenditionRow, SourceRow, VideoRow } from '../db/tables.ts'

/** The reads of the catalogue. Videos with all that is shown of them cost three statements, however many they are. */

/** What nobody sees of a source is large. */
export type ShownSource = Omit<SourceRow, 'plan' | 'storyboard'>

/** A video with the source that plays, the newest one, and what exists of the former. */
export interface VideoRecord {
  video: VideoRow
  /** What plays; null until something was ready. */
  published: ShownSource | null
  /** What was uploaded last: `published`, or what will replace it. */
  newest: ShownSource | null
  /** Of `published`, worst first. */
  renditions: RenditionRow[]
  /** Of `newest`, if it is not published: what superusers play already. */
  earlyRenditions: RenditionRow[]
}

export async function listVideoRecords(db: Database): Promise<VideoRecord[]> {
  const videos = await newestFirst(db).execute()
  const sources = await db.selectFrom('sources').select(SHOWN).execute()
  const renditions = await db.selectFrom('renditions').selectAll().orderBy('height').execute()
  return assemble(videos, sources, renditions)
}

function newestFirst(db: Database) {
  return db.selectFrom('videos').selectAll().orderBy('created_at', 'desc').orderBy('id', 'desc')
}

/** Where a video stands in the list. The time is as the database writes it: it is only ever compared there. */
export interface Place {
  createdAt: string
  id: number
}

/** All from one place of the list to another, both included. */
export async function listVideoRecordsFrom(
  db: Database,
  newest: Place,
  oldest: Place,
): Promise<VideoRecord[]> {
  const videos = await newestFirst(db)
    .where(sql<boolean>`(created_at, id) <= (${newest.createdAt}, ${newest.id})`)
    .where(sql<boolean>`(created_at, id) >= (${oldest.createdAt}, ${oldest.id})`)
    .execute()
  return await withSources(db, videos)
}

export async function findVideoRecord(db: Database, id: number): Promise<VideoRecord | null> {
  const [record] = await findVideoRecords(db, [id])
  return record ?? null
}

/** Those of the ids that exist, in the order of the ids. */
export async function findVideoRecords(db: Database, ids: number[]): Promise<VideoRecord[]> {
  if (ids.length === 0) return []
  const videos = await db.selectFrom('videos').selectAll().where('id', 'in', ids).execute()
  const byId = new Map(videos.map((video) => [video.id, video]))
  return await withSources(
    db,
    ids.flatMap((id) => byId.get(id) ?? []),
  )
}

const SHOWN = [
  'id',
  'video_id',
  'upload_id',
  'object_key',
  'file_name',
  'size_bytes',
  'sha256',
  'state',
  'error_code',
  'error_message',
  'media_info',
  'poster_key',
  'thumb_hash',
  'original_dropped_at',
  'created_at',
  'updated_at',
] as const

async function withSources(db: Database, videos: VideoRow[]): Promise<VideoRecord[]> {
  const ids = videos.map((video) => video.id)
  if (ids.length === 0) return []
  const sources = await db
    .selectFrom('sources')
    .select(SHOWN)
    .where('video_id', 'in', ids)
    .execute()
  const sourceIds = sources.map((source) => source.id)
  const renditions =
    sourceIds.length === 0
      ? []
      : await db
          .selectFrom('renditions')
          .selectAll()
          .where('source_id', 'in', sourceIds)
          .orderBy('height')
          .execute()
  return assemble(videos, sources, renditions)
}

function assemble(
  videos: VideoRow[],
  sources: ShownSource[],
  renditions: RenditionRow[],
): VideoRecord[] {
  const sourceById = new Map(sources.map((source) => [source.id, source]))
  const renditionsBySource = Map.groupBy(renditions, (rendition) => rendition.source_id)
  const find = (id: number | null): ShownSource | null =>
    id === null ? null : (sourceById.get(id) ?? null)
  return videos.map((video) => ({
    video,
    published: find(video.published_source_id),
    newest: find(video.source_id),
    renditions: renditionsBySource.get(video.published_source_id ?? -1) ?? [],
    earlyRenditions:
      video.source_id === video.published_source_id
        ? []
        : (renditionsBySource.get(video.source_id ?? -1) ?? []),
  }))
}

/** What tasks about a video are filed under. */
export function subjectOf(videoId: number): string {
  return `video:${videoId}`
}
