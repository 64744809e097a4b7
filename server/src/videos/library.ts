import type { VideoChanges, VideoFields } from '@videoflix/contract'
import type { Audit } from '../audit/audit.ts'
import { isUniqueViolation, transact, type Database, type Transacting } from '../db/database.ts'
import { AppError, invalid } from '../errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { Doorbell } from '../ports/doorbell/doorbell.ts'
import { forgetSteps } from '../processing/step-rows.ts'
import { cancel, enqueue } from '../tasks/queue.ts'
import type { RecordEvent } from '../webhooks/outbox.ts'
import { enqueueTidy } from './tidy-tasks.ts'
import { touch } from './touch.ts'
import { subjectOf } from './video-rows.ts'
import {
  attachSource,
  dropUnpublished,
  refuseWithoutOriginal,
  stopProcessing,
  type StoredOriginal,
} from './video-sources.ts'

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

  async function wasFinished(uploadId: string): Promise<boolean> {
    const row = await db
      .selectFrom('finished_uploads')
      .select('upload_id')
      .where('upload_id', '=', uploadId)
      .executeTakeFirst()
    return row !== undefined
  }

  /**
   * Finishing an upload twice, one after the other or at once, finds the first one's video; whoever deleted that does not
   * see it come back.
   */
  async function once(uploadId: string, work: () => Promise<number>): Promise<number> {
    const before = await findByUpload(uploadId)
    if (before !== null) return before
    try {
      return await work()
    } catch (error) {
      if (!isUniqueViolation(error)) throw error
      const winner = await findByUpload(uploadId)
      if (winner !== null) return winner
      throw (await wasFinished(uploadId)) ? videoWasDeleted() : titleTaken()
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

function videoWasDeleted(): AppError {
  return invalid({ video_file: ['The video of this upload was deleted: begin another upload.'] })
}

export function titleTaken(): AppError {
  return invalid({ title: ['Video with this title already exists.'] })
}
