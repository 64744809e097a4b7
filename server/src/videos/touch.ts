import type { Transacting } from '../db/database.ts'

/** Tells everybody who looks that something about a video has changed. */
export async function touch(trx: Transacting, videoId: number, now: Date): Promise<void> {
  await trx.updateTable('videos').set({ updated_at: now }).where('id', '=', videoId).execute()
}
