import { createHash } from 'node:crypto'
import { sql, type RawBuilder, type SqlBool } from 'kysely'
import type { Database } from '../db/database.ts'
import type { RenditionRow, SourceRow, VideoRow } from '../db/tables.ts'

/** The reads of the catalogue. A video with all that is shown of it costs three statements, however many there are. */

/** A video with the source that plays, the newest one, and what exists of the former. */
export interface VideoRecord {
  video: VideoRow
  /** What plays; null until something was ready. */
  published: SourceRow | null
  /** What was uploaded last: `published`, or what will replace it. */
  newest: SourceRow | null
  /** Of `published`, worst first. */
  renditions: RenditionRow[]
  /** Of `newest`, if it is not published: what superusers play already. */
  earlyRenditions: RenditionRow[]
}

export async function listVideoRecords(db: Database): Promise<VideoRecord[]> {
  const videos = await db
    .selectFrom('videos')
    .selectAll()
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .execute()
  const sources = await db.selectFrom('sources').selectAll().execute()
  const renditions = await db.selectFrom('renditions').selectAll().orderBy('height').execute()
  return assemble(videos, sources, renditions)
}

export async function findVideoRecord(db: Database, id: number): Promise<VideoRecord | null> {
  const [record] = await findVideoRecords(db, [id])
  return record ?? null
}

/** Those of the ids that exist, in the order of the ids. */
export async function findVideoRecords(db: Database, ids: number[]): Promise<VideoRecord[]> {
  if (ids.length === 0) return []
  const videos = await db.selectFrom('videos').selectAll().where('id', 'in', ids).execute()
  const sources = await db.selectFrom('sources').selectAll().where('video_id', 'in', ids).execute()
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
  const byId = new Map(videos.map((video) => [video.id, video]))
  const inOrder = ids.flatMap((id) => byId.get(id) ?? [])
  return assemble(inOrder, sources, renditions)
}

function assemble(
  videos: VideoRow[],
  sources: SourceRow[],
  renditions: RenditionRow[],
): VideoRecord[] {
  const sourceById = new Map(sources.map((source) => [source.id, source]))
  const renditionsBySource = Map.groupBy(renditions, (rendition) => rendition.source_id)
  const find = (id: number | null): SourceRow | null =>
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

export interface VideoFilter {
  search?: string | undefined
  category?: string | undefined
  state?: string | undefined
}

export interface VideoPage {
  offset: number
  limit: number
  ordering: 'created_at' | '-created_at' | 'title' | '-title'
}

/** One page of ids, and how many match in all. */
export async function listVideoIds(
  db: Database,
  filter: VideoFilter,
  page: VideoPage,
): Promise<{ ids: number[]; count: number }> {
  const matching = db
    .selectFrom('videos')
    .leftJoin('sources', 'sources.id', 'videos.source_id')
    .where((eb) => eb.and(conditions(filter)))
  const { count } = await matching
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  const direction = page.ordering.startsWith('-') ? 'desc' : 'asc'
  const column = page.ordering.endsWith('title') ? 'videos.title' : 'videos.created_at'
  const rows = await matching
    .select('videos.id')
    .orderBy(column, direction)
    .orderBy('videos.id', direction)
    .offset(page.offset)
    .limit(page.limit)
    .execute()
  return { ids: rows.map((row) => row.id), count }
}

function conditions({ search, category, state }: VideoFilter): RawBuilder<SqlBool>[] {
  const list: RawBuilder<SqlBool>[] = []
  if (search) {
    const found = spellings(search).map((spelling) => {
      const pattern = `%${spelling.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`
      return sql<SqlBool>`(lower(videos.title) like ${pattern} escape '\\' or lower(videos.description) like ${pattern} escape '\\')`
    })
    list.push(sql<SqlBool>`(${sql.join(found, sql` or `)})`)
  }
  if (category) list.push(sql<SqlBool>`videos.category = ${category}`)
  if (state === 'ready') list.push(sql<SqlBool>`videos.published_source_id is not null`)
  // Of the newest source: a replacement that failed is found, though the old version plays.
  else if (state) list.push(sql<SqlBool>`sources.state = ${state}`)
  return list
}

/** SQLite's `lower`, and PostgreSQL's in the locale C, leave all but ASCII as it is: look for those letters in each case. */
function spellings(search: string): string[] {
  const each = [search, search.toLowerCase(), search.toUpperCase()]
  return [
    ...new Set(each.map((text) => text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase()))),
  ]
}

/** When each video was changed last, by id; each change that the catalogue shows is one here. */
export async function listChangeTimes(db: Database): Promise<Map<number, number>> {
  const rows = await db.selectFrom('videos').select(['id', 'updated_at']).orderBy('id').execute()
  return new Map(rows.map((row) => [row.id, row.updated_at.getTime()]))
}

/**
 * Differs when anything that the catalogue shows has changed. Not the latest time alone: servers' clocks differ, and a
 * change by a slower one would go unseen.
 */
export function versionOf(changeTimes: Map<number, number>): string {
  const hash = createHash('sha256')
  for (const [id, time] of changeTimes) hash.update(`${id} ${time}\n`)
  return hash.digest('base64url')
}
