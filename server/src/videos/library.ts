import type { VideoChanges, VideoFields } from '@videoflix/contract'
import type { Audit } from '../audit/audit.ts'
import { isUniqueViolation, transact, type Database, type Transacting } from '../db/database.ts'
import { AppError, invalid } from '../errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { Doorbell } from '../ports/doorbell/doorbell.ts'
import { dropUnfinished, forgetSteps } from '../processing/step-rows.ts'
import { STEP_TASKS } from '../processing/step.ts'
import { cancel, enqueue } from '../tasks/queue.ts'
import type { RecordEvent } from '../webhooks/outbox.ts'
import { subjectOf } from './video-rows.ts'

/** An original that is in its store, and what is said about it. */
export interface StoredOriginal {
  /** Unique: the same upload handed in twice is one video. */
  uploadId: string
  objectKey: string
  fileName: string
  sizeBytes: number
  sha256: string | null
}

/** Who does it: null for the operator of the machine. */
export interface Actor {
  userId: number | null
  address: string | null
}

/** What a superuser does to the catalogue. Each change is one transaction with the tasks that follow from it. */
export interface Library {
  /** The new video's id, or that of the same upload's. Throws `invalid` when the title is taken. */
  add(original: StoredOriginal, fields: VideoFields, by: Actor): Promise<number>
  /** The old version plays until the new one is ready. Throws `not_found`. */
  replaceSource(original: StoredOriginal, videoId: number, by: Actor): Promise<number>
  /** Throws `not_found`, or `invalid` when the title is taken. */
  edit(videoId: number, changes: VideoChanges, by: Actor): Promise<void>
  /** Row, files, favourites and tasks; the files shortly after. Throws `not_found`. */
  remove(videoId: number, by: Actor): Promise<void>
  /** Processes the newest source again. Throws `not_found`, or `conflict` while it is being processed or without its file. */
  retry(videoId: number): Promise<void>
  exists(videoId: number): Promise<boolean>
  isTitleTaken(title: string): Promise<boolean>
  /** The title itself, or with a number behind it that makes it free. */
  freeTitle(title: string): Promise<string>
  findByUpload(uploadId: string): Promise<number | null>
}

/** After a cancellation its worker may write for as long as its lease lasts; look again after that. */
const SECOND_TIDY_MS = 2 * 60_000

export function createLibrary(needs: {
  db: Database
  clock: Clock
  doorbell: Doorbell
  audit: Audit
  recordEvent: RecordEvent
}): Library {
  const { db, clock, doorbell, audit, recordEvent } = needs

  async function change<T>(work: (trx: Transacting, now: Date) => Promise<T>): Promise<T> {
    const now = clock.now()
    const result = await transact(db, (trx) => work(trx, now))
    doorbell.ring('tasks')
    doorbell.ring('catalogue')
    return result
  }

  async function lockVideo(trx: Transacting, videoId: number) {
    const video = await trx
      .selectFrom('videos')
      .selectAll()
      .where('id', '=', videoId)
      .forUpdate()
      .executeTakeFirst()
    if (!video) throw new AppError('not_found', 'Not found.')
    return video
  }

  async function findByUpload(uploadId: string): Promise<number | null> {
    const source = await db
      .selectFrom('sources')
      .select('video_id')
      .where('upload_id', '=', uploadId)
      .executeTakeFirst()
    return source?.video_id ?? null
  }

  /** Finishing an upload twice, one after the other or at once, finds the first one's video. */
  async function once(uploadId: string, work: () => Promise<number>): Promise<number> {
    const before = await findByUpload(uploadId)
    if (before !== null) return before
    try {
      return await work()
    } catch (error) {
      if (!isUniqueViolation(error)) throw error
      const winner = await findByUpload(uploadId)
      if (winner === null) throw titleTaken()
      return winner
    }
  }

  async function isTitleTaken(title: string): Promise<boolean> {
    const row = await db
      .selectFrom('videos')
      .select('id')
      .where('title', '=', title)
      .executeTakeFirst()
    return row !== undefined
  }

  return {
    findByUpload,
    isTitleTaken,

    async exists(videoId) {
      const row = await db
        .selectFrom('videos')
        .select('id')
        .where('id', '=', videoId)
        .executeTakeFirst()
      return row !== undefined
    },

    async freeTitle(title) {
      const stem = [...title].slice(0, 240).join('')
      let candidate = title
      for (let number = 2; await isTitleTaken(candidate); number += 1) {
        candidate = `${stem} (${number})`
      }
      return candidate
    },

    add: (original, fields, by) =>
      once(original.uploadId, () =>
        change(async (trx, now) => {
          const { id } = await trx
            .insertInto('videos')
            .values({
              ...fields,
              created_at: now,
              updated_at: now,
              published_source_id: null,
              source_id: null,
            })
            .returning('id')
            .executeTakeFirstOrThrow()
          await attachSource(trx, id, original, now)
          const details = { video: id, size: original.sizeBytes }
          await audit.recordIn(trx, 'video_uploaded', { ...by, details })
          return id
        }),
      ),

    replaceSource: (original, videoId, by) =>
      once(original.uploadId, () =>
        change(async (trx, now) => {
          await stopProcessing(trx, videoId)
          const video = await lockVideo(trx, videoId)
          await dropUnpublished(trx, video, now)
          await attachSource(trx, videoId, original, now)
          const details = { video: videoId, size: original.sizeBytes }
          await audit.recordIn(trx, 'video_replaced', { ...by, details })
          return videoId
        }),
      ),

    async edit(videoId, changes, by) {
      const set = Object.fromEntries(
        Object.entries(changes).filter(([, value]) => value !== undefined),
      )
      try {
        await change(async (trx, now) => {
          await lockVideo(trx, videoId)
          await trx
            .updateTable('videos')
            .set({ ...set, updated_at: now })
            .where('id', '=', videoId)
            .execute()
          await audit.recordIn(trx, 'video_edited', { ...by, details: { video: videoId } })
        })
      } catch (error) {
        throw isUniqueViolation(error) ? titleTaken() : error
      }
    },

    async remove(videoId, by) {
      await change(async (trx, now) => {
        const sources = await stopProcessing(trx, videoId)
        await lockVideo(trx, videoId)
        await cancel(trx, subjectOf(videoId))
        await recordEvent(trx, 'video.deleted', videoId, now)
        await trx.deleteFrom('videos').where('id', '=', videoId).execute()
        await audit.recordIn(trx, 'video_deleted', { ...by, details: { video: videoId } })
        await enqueueTidy(
          trx,
          videoId,
          sources.map((source) => source.object_key),
          now,
        )
      })
    },

    async retry(videoId) {
      await change(async (trx, now) => {
        const { source_id: sourceId } = await lockVideo(trx, videoId)
        if (sourceId !== null) await refuseWithoutOriginal(trx, sourceId)
        const { numUpdatedRows } = await trx
          .updateTable('sources')
          .set({
            state: 'pending',
            error_code: null,
            error_message: null,
            plan: null,
            updated_at: now,
          })
          .where('id', '=', sourceId)
          .where('state', 'in', ['error', 'ready'])
          .executeTakeFirst()
        if (sourceId === null || numUpdatedRows === 0n) {
          throw new AppError(
            'conflict',
            'This video is being processed already: wait for it to end.',
          )
        }
        await forgetSteps(trx, sourceId)
        await touch(trx, videoId, now)
        await enqueue(trx, 'process_source', { sourceId }, { subject: subjectOf(videoId), now })
      })
    },
  }
}

async function refuseWithoutOriginal(trx: Transacting, sourceId: number): Promise<void> {
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

export function titleTaken(): AppError {
  return invalid({ title: ['Video with this title already exists.'] })
}

async function attachSource(
  trx: Transacting,
  videoId: number,
  original: StoredOriginal,
  now: Date,
): Promise<void> {
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
async function stopProcessing(
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

async function deleteStepTasks(trx: Transacting, videoId: number): Promise<void> {
  await trx
    .deleteFrom('tasks')
    .where('kind', 'in', STEP_TASKS)
    .where('subject', '=', subjectOf(videoId))
    .execute()
}

/** A source that never got to play is forgotten when the next one comes. */
async function dropUnpublished(
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

/** Files go by task, once now and once after any worker that still writes them has lost its lease. */
export async function enqueueTidy(
  trx: Transacting,
  videoId: number,
  originalKeys: string[],
  now: Date,
): Promise<void> {
  const later = new Date(now.getTime() + SECOND_TIDY_MS)
  const subject = `tidy:${videoId}`
  await enqueue(trx, 'tidy_video', { videoId, originalKeys }, { subject, now })
  await enqueue(trx, 'tidy_video', { videoId, originalKeys }, { subject, now, dueAt: later })
}

export async function touch(trx: Transacting, videoId: number, now: Date): Promise<void> {
  await trx.updateTable('videos').set({ updated_at: now }).where('id', '=', videoId).execute()
}
