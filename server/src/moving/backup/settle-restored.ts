import { transact, type Database } from '../../db/database.ts'
import { putOffSweep } from '../../library-audit/sweep-orphans.ts'
import { forgetSteps } from '../../processing/step-rows.ts'
import { STEP_TASKS } from '../../processing/step.ts'
import { enqueue } from '../../tasks/queue.ts'
import { subjectOf } from '../../videos/video-rows.ts'
import { unmarkUnderWay } from './empty-database.ts'

const DAY = 24 * 3_600_000

/** What was stored after the backup was made is named by no row now. Whoever misses it has so long to notice. */
export const DAYS_WITHOUT_SWEEP = 7

/**
 * What was being done when the backup was made is begun anew: intermediates are in no backup, and who held a lease is
 * not here.
 */
export async function settleRestored(
  db: Database,
  { endsSessions, now }: { endsSessions: boolean; now: Date },
): Promise<void> {
  await transact(db, async (trx) => {
    if (endsSessions) await trx.deleteFrom('sessions').execute()
    const sources = await trx
      .selectFrom('sources')
      .select(['id', 'video_id'])
      .where('state', 'in', ['pending', 'processing'])
      .execute()
    for (const { id, video_id: videoId } of sources) {
      const subject = subjectOf(videoId)
      await forgetSteps(trx, id)
      await trx
        .deleteFrom('tasks')
        .where('kind', 'in', STEP_TASKS)
        .where('subject', '=', subject)
        .execute()
      await trx
        .updateTable('sources')
        .set({ state: 'pending', plan: null, updated_at: now })
        .where('id', '=', id)
        .execute()
      await enqueue(trx, 'process_source', { sourceId: id }, { subject, now })
    }
    await trx
      .updateTable('tasks')
      .set({ lease_owner: null, lease_until: null, progress: null })
      .where('lease_owner', 'is not', null)
      .execute()
    await putOffSweep(trx, now, new Date(now.getTime() + DAYS_WITHOUT_SWEEP * DAY))
    await unmarkUnderWay(trx)
  })
}
