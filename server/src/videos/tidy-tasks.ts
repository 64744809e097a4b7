import type { Transacting } from '../db/database.ts'
import { enqueue } from '../tasks/queue.ts'

/** After a cancellation its worker may write for as long as its lease lasts; look again after that. */
const SECOND_TIDY_MS = 2 * 60_000

/** Files go by task, once now and once after any worker that still writes them has lost its lease. */
export async function enqueueTidy(
  trx: Transacting,
  videoId: number,
  originalKeys: string[],
  now: Date,
): Promise<void> {
  const later = new Date(now.getTime() + SECOND_TIDY_MS)
  const subject = tidySubject(videoId)
  await enqueue(trx, 'tidy_video', { videoId, originalKeys }, { subject, now })
  await enqueue(trx, 'tidy_video', { videoId, originalKeys }, { subject, now, dueAt: later })
}

export function tidySubject(videoId: number): string {
  return `tidy:${videoId}`
}
