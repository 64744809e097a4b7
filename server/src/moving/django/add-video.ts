import type { Transacting } from '../../db/database.ts'
import { asJson } from '../../db/tables.ts'
import { AppError } from '../../errors.ts'
import { enqueue } from '../../tasks/queue.ts'
import { subjectOf } from '../../videos/video-rows.ts'
import type { Inspected } from './inspect-video.ts'
import type { LegacyVideo } from './legacy-rows.ts'

/** What came from the original is known by the name of its upload. */
export const UPLOAD_PREFIX = 'django-'

export function originalKeyOf({ id }: Pick<LegacyVideo, 'id'>): string {
  return `${UPLOAD_PREFIX}${id}`
}

export function mediaKeyOf({ id }: Pick<LegacyVideo, 'id'>, file: string): string {
  return `videos/${id}/django/${file}`
}

export interface NewVideo {
  video: LegacyVideo
  fields: { title: string; description: string; category: string }
  inspected: Inspected
  /** Of objects that are stored; null where there is no original, or no poster. */
  original: { sizeBytes: number; fileName: string } | null
  hasPoster: boolean
}

/** After films that somebody has just uploaded, before those that play already. */
const PRIORITY_OF_UNPLAYABLE = 5

/** Reason of the failure of one that was taken over without any file. */
export const FILE_MISSING = 'file_missing'

const LOST =
  'The file of this video was missing when it was taken over. Upload it again to replace the video.'

/** All rows of a video, in the caller's transaction. Its objects are stored by now. */
export async function addVideo(trx: Transacting, added: NewVideo, now: Date): Promise<void> {
  const { video, fields } = added
  await trx
    .insertInto('videos')
    .values({
      id: video.id,
      ...fields,
      created_at: video.created_at,
      updated_at: now,
      published_source_id: null,
      source_id: null,
    })
    .execute()
  await addFiles(trx, added, now)
}

type FoundFiles = Omit<NewVideo, 'fields'>

/**
 * The same of the files alone, for a video that was taken over without any. Throws `conflict` when somebody has replaced
 * or deleted it meanwhile.
 */
export async function addFound(trx: Transacting, found: FoundFiles, now: Date): Promise<void> {
  const lost = await trx
    .selectFrom('sources')
    .select('id')
    .where('upload_id', '=', originalKeyOf(found.video))
    .where('error_code', '=', FILE_MISSING)
    .executeTakeFirst()
  const { numUpdatedRows } = await trx
    .updateTable('videos')
    .set({ source_id: null, updated_at: now })
    .where('id', '=', found.video.id)
    .where('source_id', '=', lost?.id ?? 0)
    .executeTakeFirst()
  if (lost === undefined || numUpdatedRows === 0n) {
    throw new AppError('conflict', 'somebody has replaced or deleted it meanwhile')
  }
  await trx.deleteFrom('sources').where('id', '=', lost.id).execute()
  await addFiles(trx, found, now)
}

async function addFiles(trx: Transacting, added: FoundFiles, now: Date): Promise<void> {
  const { video, inspected } = added
  const state = stateOf(inspected)
  const sourceId = await addSource(trx, added, state, now)
  await trx
    .updateTable('videos')
    .set({ source_id: sourceId, published_source_id: state === 'ready' ? sourceId : null })
    .where('id', '=', video.id)
    .execute()
  if (inspected.renditions.length > 0) await addRenditions(trx, added, sourceId)
  if (state === 'pending') {
    await enqueue(
      trx,
      'process_source',
      { sourceId },
      { subject: subjectOf(video.id), now, priority: PRIORITY_OF_UNPLAYABLE },
    )
  }
}

/** It plays; it can be processed; or neither. */
export function stateOf({ renditions, original }: Inspected): 'ready' | 'pending' | 'error' {
  if (renditions.length > 0) return 'ready'
  return original?.film ? 'pending' : 'error'
}

async function addSource(
  trx: Transacting,
  { video, inspected, original, hasPoster }: FoundFiles,
  state: 'ready' | 'pending' | 'error',
  now: Date,
): Promise<number> {
  const info = inspected.original?.film?.info ?? inspected.renditions.at(-1)?.info ?? null
  const isFailed = state === 'error'
  const { id } = await trx
    .insertInto('sources')
    .values({
      video_id: video.id,
      upload_id: originalKeyOf(video),
      object_key: originalKeyOf(video),
      file_name: original?.fileName ?? 'unnamed',
      size_bytes: original?.sizeBytes ?? 0,
      sha256: null,
      state,
      error_code: isFailed ? (inspected.failure?.reason ?? FILE_MISSING) : null,
      error_message: isFailed ? (inspected.failure?.sentence ?? LOST) : null,
      media_info: info === null ? null : asJson(info),
      poster_key: hasPoster ? mediaKeyOf(video, 'poster.jpg') : null,
      original_dropped_at: original === null ? now : null,
      created_at: video.created_at,
      updated_at: now,
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  return id
}

/** Rates of segments are for what has segments. */
async function addRenditions(
  trx: Transacting,
  { video, inspected }: FoundFiles,
  sourceId: number,
): Promise<void> {
  await trx
    .insertInto('renditions')
    .values(
      inspected.renditions.map(({ quality, codecs, info }) => ({
        source_id: sourceId,
        quality,
        object_key: mediaKeyOf(video, `${quality}.mp4`),
        width: info.video.displayWidth,
        height: info.video.displayHeight,
        size_bytes: info.sizeBytes,
        bitrate_bps: Math.round((info.sizeBytes * 8000) / Math.max(1, info.durationMs)),
        peak_bps: null,
        frame_rate: null,
        codecs,
      })),
    )
    .execute()
}
