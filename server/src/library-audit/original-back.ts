import type { Database } from '../db/database.ts'
import type { SourceRow } from '../db/tables.ts'
import type { ObjectStore } from '../ports/object-store/object-store.ts'
import type { Payload } from '../tasks/task.ts'
import { tidySubject } from '../videos/tidy-tasks.ts'

type Tidy = Payload<'tidy_video'>

/**
 * Whether an original that was given up as lost is there after all, as when a disk was not mounted then. What is to be
 * removed (KEEP_ORIGINAL) does not count: a task that may do so is asked for before the file.
 */
export async function isOriginalBack(
  { db, originals }: { db: Database; originals: ObjectStore },
  source: SourceRow,
): Promise<boolean> {
  if (source.original_dropped_at === null) return false
  const removals = await db
    .selectFrom('tasks')
    .select('payload')
    .where('subject', '=', tidySubject(source.video_id))
    .where('finished_at', 'is', null)
    .execute()
  const { object_key: key } = source
  const goes = removals.some(({ payload }) => (payload as Tidy).originalKeys.includes(key))
  if (goes) return false
  return (await originals.find(key))?.sizeBytes === source.size_bytes
}
