import type { AdminVideo } from '@videoflix/contract'
import type { Database } from '../db/database.ts'
import { AppError } from '../errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { MediaUrls } from '../storage/media-urls.ts'
import { toAdminVideo } from './video-object.ts'
import {
  findProcessingTasks,
  findVideoRecords,
  listVideoIds,
  type VideoFilter,
  type VideoPage,
} from './video-rows.ts'

/** The catalogue as superusers see it: with sources, progress and reasons. */
export interface AdminVideos {
  /** Throws `not_found`. */
  get(id: number): Promise<AdminVideo>
  /** Those that exist, in the order of the ids. */
  find(ids: number[]): Promise<AdminVideo[]>
  list(filter: VideoFilter, page: VideoPage): Promise<{ results: AdminVideo[]; count: number }>
}

export function createAdminVideos(needs: {
  db: Database
  clock: Clock
  urls: MediaUrls
}): AdminVideos {
  const { db, clock, urls } = needs

  async function find(ids: number[]): Promise<AdminVideo[]> {
    const records = await findVideoRecords(db, ids)
    const tasks = await findProcessingTasks(db, ids)
    const now = clock.now()
    return records.map((record) => toAdminVideo(record, tasks.get(record.video.id), urls, now))
  }

  return {
    find,

    async get(id) {
      const [video] = await find([id])
      if (!video) throw new AppError('not_found', 'Not found.')
      return video
    },

    async list(filter, page) {
      const { ids, count } = await listVideoIds(db, filter, page)
      return { results: await find(ids), count }
    },
  }
}
