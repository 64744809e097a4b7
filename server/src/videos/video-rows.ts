import type { Database } from '../db/database.ts'
import type { RenditionRow, SourceRow, VideoRow } from '../db/tables.ts'

/** The reads of superusers, and of programs. Videos with all that is known of them cost three statements, however many they are. */

/** What nobody sees of a source is large. */
export type KnownSource = Omit<SourceRow, 'plan' | 'storyboard'>

/** A video with the source that plays, the newest one, and what exists of the former. */
export interface VideoRecord {
  video: VideoRow
  /** What plays; null until something was ready. */
  published: KnownSource | null
  /** What was uploaded last: `published`, or what will replace it. */
  newest: KnownSource | null
  /** Of `published`, worst first. */
  renditions: RenditionRow[]
  /** Of `newest`, if it is not published: what superusers play already. */
  earlyRenditions: RenditionRow[]
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

const KNOWN = [
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
    .select(KNOWN)
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
  sources: KnownSource[],
  renditions: RenditionRow[],
): VideoRecord[] {
  const sourceById = new Map(sources.map((source) => [source.id, source]))
  const renditionsBySource = Map.groupBy(renditions, (rendition) => rendition.source_id)
  const find = (id: number | null): KnownSource | null =>
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
