import type { Transacting } from '../db/database.ts'
import { AppError } from '../errors.ts'
import { dropUnfinished } from '../processing/step-rows.ts'
import { STEP_TASKS } from '../processing/step.ts'
import { enqueue } from '../tasks/queue.ts'
import { enqueueTidy } from './tidy-tasks.ts'
import { subjectOf } from './video-rows.ts'

/** What becomes of a video's sources when it is replaced, retried or removed. Call with the video's changes in one transaction. */

/** An original that is in its store, and what is said about it. */
export interface StoredOriginal {
  /** Unique: the same upload handed in twice is one video, and none any more once that was deleted. */
  uploadId: string
  objectKey: string
  fileName: string
  sizeBytes: number
  sha256: string | null
  /** Makes sure that the bytes are there and stay, in the transaction that makes a source of them. Throws `conflict`. */
  claimIn?(trx: Transacting): Promise<void>
}

/** Violates uniqueness when the same upload has been handed in before. */
export async function attachSource(
  trx: Transacting,
  videoId: number,
  original: StoredOriginal,
  now: Date,
): Promise<void> {
  await original.claimIn?.(trx)
  await trx
    .insertInto('finished_uploads')
    .values({ upload_id: original.uploadId, finished_at: now })
    .execute()
  const { id: sourceId } = await trx
    .insertInto('sources')
    .values({
      video_id: videoId,
      upload_id: original.uploadId,
      object_key: original.objectKey,
      file_name: original.fileName,
      size_bytes: original.sizeBytes,
      sha256: original.sha256,
      state: 'pending',
      error_code: null,
      error_message: null,
      poster_key: null,
      created_at: now,
      updated_at: now,
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  await trx
    .updateTable('videos')
    .set({ source_id: sourceId, updated_at: now })
    .where('id', '=', videoId)
    .execute()
  await enqueue(trx, 'process_source', { sourceId }, { subject: subjectOf(videoId), now })
}

/**
 * Cancels all steps of a video and locks its sources. In this order: a step that ends has locked its task, and locks its
 * source, then the video; by the time that its source is ours, it may have written further tasks.
 */
export async function stopProcessing(
  trx: Transacting,
  videoId: number,
): Promise<{ id: number; object_key: string }[]> {
  await deleteStepTasks(trx, videoId)
  const sources = await trx
    .selectFrom('sources')
    .select(['id', 'object_key'])
    .where('video_id', '=', videoId)
    .orderBy('id')
    .forUpdate()
    .execute()
  await deleteStepTasks(trx, videoId)
  return sources
}

/** Those that are done stay: whoever has heard nothing of their commit asks for them, and would remove what they published. */
async function deleteStepTasks(trx: Transacting, videoId: number): Promise<void> {
  await trx
    .deleteFrom('tasks')
    .where('kind', 'in', STEP_TASKS)
    .where('subject', '=', subjectOf(videoId))
    .where('finished_at', 'is', null)
    .execute()
}

/** A source that never got to play is forgotten when the next one comes. */
export async function dropUnpublished(
  trx: Transacting,
  video: { id: number; published_source_id: number | null },
  now: Date,
): Promise<void> {
  if (video.published_source_id !== null) await leaveAsItIs(trx, video.published_source_id, now)
  const dropped = await trx
    .deleteFrom('sources')
    .where('video_id', '=', video.id)
    .where('id', '!=', video.published_source_id ?? -1)
    .returning('object_key')
    .execute()
  await enqueueTidy(
    trx,
    video.id,
    dropped.map((source) => source.object_key),
    now,
  )
}

/** What plays was perhaps being processed again, or is not complete: it stays what it is. */
async function leaveAsItIs(trx: Transacting, sourceId: number, now: Date): Promise<void> {
  await dropUnfinished(trx, sourceId)
  await trx
    .updateTable('sources')
    .set({ state: 'ready', updated_at: now })
    .where('id', '=', sourceId)
    .where('state', 'in', ['pending', 'processing'])
    .execute()
}

export async function refuseWithoutOriginal(trx: Transacting, sourceId: number): Promise<void> {
  const source = await trx
    .selectFrom('sources')
    .select('original_dropped_at')
    .where('id', '=', sourceId)
    .executeTakeFirst()
  if (!source?.original_dropped_at) return
  throw new AppError(
    'conflict',
    'The uploaded file of this video was not kept (KEEP_ORIGINAL): upload it again to replace the video.',
  )
}
