import { transact, type Database } from '../../db/database.ts'
import { forgetSteps } from '../../processing/step-rows.ts'
import { enqueue } from '../../tasks/queue.ts'
import { subjectOf } from '../../videos/video-rows.ts'
import { UPLOAD_PREFIX } from './add-video.ts'

/** After everything that somebody waits for. */
const LOW_PRIORITY = 10

/**
 * Has all films encoded that still play from what the original made. They play on until they are done. Repeating it
 * changes nothing for those that wait or are done. Returns how many.
 */
export async function reprocessImported(db: Database, now: Date): Promise<number> {
  const sources = await db
    .selectFrom('sources')
    .select(['id', 'video_id'])
    .where('upload_id', 'like', `${UPLOAD_PREFIX}%`)
    .where('state', '=', 'ready')
    .where('original_dropped_at', 'is', null)
    .where('id', 'in', (eb) =>
      eb.selectFrom('renditions').select('source_id').where('frame_rate', 'is', null),
    )
    .orderBy('id', 'desc')
    .execute()
  for (const { id: sourceId, video_id: videoId } of sources) {
    await transact(db, async (trx) => {
      const { numUpdatedRows } = await trx
        .updateTable('sources')
        .set({ state: 'pending', plan: null, updated_at: now })
        .where('id', '=', sourceId)
        .where('state', '=', 'ready')
        .executeTakeFirst()
      if (numUpdatedRows === 0n) return
      await forgetSteps(trx, sourceId)
      const subject = subjectOf(videoId)
      await enqueue(trx, 'process_source', { sourceId }, { subject, now, priority: LOW_PRIORITY })
    })
  }
  return sources.length
}
