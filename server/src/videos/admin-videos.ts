import type { AdminVideo } from '@videoflix/contract'
import type { Database } from '../db/database.ts'
import { AppError } from '../errors.ts'
import type { Clock } from '../ports/clock.ts'
import { listStepViews } from '../processing/step-views.ts'
import type { MediaUrls } from '../storage/media-urls.ts'
import { toAdminVideo } from './video-object.ts'
import {
  countVideos,
  listVideoIds,
  toQuery,
  type VideoFilter,
  type VideoPage,
} from './admin-list.ts'
import type { SearchIndex } from './search-index.ts'
import { findVideoRecords } from './video-rows.ts'

/** The catalogue as superusers see it: with sources, progress and reasons. */
export interface AdminVideos {
  /** With the commands of all steps. Throws `not_found`. */
  get(id: number): Promise<AdminVideo>
  /** Those that exist, in the order of the ids. */
  find(ids: number[]): Promise<AdminVideo[]>
  list(filter: VideoFilter, page: VideoPage): Promise<{ results: AdminVideo[]; count: number }>
}

export function createAdminVideos(needs: {
  db: Database
  clock: Clock
  urls: MediaUrls
  index: SearchIndex
}): AdminVideos {
  const { db, clock, urls, index } = needs

  async function find(ids: number[], { isFull } = { isFull: false }): Promise<AdminVideo[]> {
    const records = await findVideoRecords(db, ids)
    const sourceIds = records.flatMap(({ newest }) => newest?.id ?? [])
    const steps = await listStepViews(db, sourceIds, { isFull })
    const now = clock.now()
    return records.map((record) =>
      toAdminVideo(record, steps.get(record.newest?.id ?? -1) ?? [], urls, now),
    )
  }

  return {
    find: (ids) => find(ids),

    async get(id) {
      const [video] = await find([id], { isFull: true })
      if (!video) throw new AppError('not_found', 'Not found.')
      return video
    },

    async list(filter, page) {
      const query = await toQuery(index, filter)
      if (query === null) return { results: [], count: 0 }
      // To count takes longer than all else: meanwhile it is done.
      const [results, count] = await Promise.all([
        listVideoIds({ db, index }, query, page).then((ids) => find(ids)),
        countVideos({ db, index }, query),
      ])
      return { results, count }
    },
  }
}
