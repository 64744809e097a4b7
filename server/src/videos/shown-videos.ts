import { sql } from 'kysely'
import type { Database } from '../db/database.ts'
import type { RenditionRow, SourceRow, VideoRow } from '../db/tables.ts'
import type { MediaInfo } from '../media/media-info.ts'
import { newestVideos, type ListPart } from './newest-videos.ts'

/**
 * The reads of viewers: what they get to see and no more, in one statement, as the list is asked for more often than all
 * else.
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
  const rows = await shown(newestVideos(db, { after: null })).execute()
  return rows.map(toShownVideo)
}

/** The newest of a part of the list. */
export async function listNewestShown(
  db: Database,
  part: ListPart,
  limit: number,
): Promise<ShownVideo[]> {
  const rows = await shown(newestVideos(db, part)).limit(limit).execute()
  return rows.map(toShownVideo)
}

/** All from one place of the list to another, both included. */
export async function listShownVideosFrom(
  db: Database,
  newest: Place,
  oldest: Place,
): Promise<ShownVideo[]> {
  // Ids first: PostgreSQL takes a stretch for a ninth of all videos, and would join that many.
  const rows = await newestVideos(db, { after: null })
    .select('videos.id')
    .where(sql<boolean>`(created_at, id) <= (${newest.createdAt}, ${newest.id})`)
    .where(sql<boolean>`(created_at, id) >= (${oldest.createdAt}, ${oldest.id})`)
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
  const rows = await shown(db.selectFrom('videos').where('videos.id', 'in', ids)).execute()
  const byId = new Map(rows.map((row) => [row.id, row]))
  return ids.flatMap((id) => byId.get(id) ?? []).map(toShownVideo)
}

type Row = Awaited<ReturnType<ReturnType<typeof shown>['executeTakeFirstOrThrow']>>

function shown(videos: ReturnType<typeof newestVideos>) {
  return videos
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
      DURATION_MS.as('duration_ms'),
      RENDITIONS.as('renditions'),
    ])
}

/** All of `media_info` is large. */
const DURATION_MS = sql<
  number | null
>`cast(published.media_info ->> 'durationMs' as double precision)`

/** `720p videos/7/9-1-1/720p.mp4 …`: both engines have it, and neither word has a space. */
const RENDITIONS = sql<string | null>`(
  select string_agg(quality || ' ' || object_key, ' ') from renditions where source_id = published.id
)`

function toShownVideo(row: Row): ShownVideo {
  const { poster_key, thumb_hash, duration_ms: durationMs, state, error_message } = row
  const media_info = durationMs === null ? null : { durationMs }
  return {
    video: row,
    published: row.published_id === null ? null : { poster_key, thumb_hash, media_info },
    newest: state === null ? null : { state, error_message },
    renditions: row.renditions === null ? [] : toRenditions(row.renditions.split(' ')),
  }
}

function toRenditions(words: string[]): ShownVideo['renditions'] {
  const renditions = []
  for (let at = 0; at < words.length; at += 2) {
    const [quality = '', object_key = ''] = words.slice(at, at + 2)
    renditions.push({ quality, object_key })
  }
  return renditions
}
