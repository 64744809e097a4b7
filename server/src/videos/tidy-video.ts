import type { Database } from '../db/database.ts'
import type { ObjectStore } from '../ports/object-store/object-store.ts'
import type { TaskHandler } from '../tasks/task.ts'
import { findProcessingTasks } from './video-rows.ts'

/**
 * Removes the files of a video that nothing refers to: all of them when it was deleted, those of earlier versions and
 * failed attempts otherwise. What is wanted is read from the database each time, so it may run at any time and twice.
 */
export function tidyVideoHandler(needs: {
  db: Database
  originals: ObjectStore
  media: ObjectStore
}): TaskHandler<'tidy_video'> {
  const { db, originals, media } = needs
  return {
    attempts: 20,

    async run(task) {
      const { videoId, originalKeys } = task.payload
      const wanted = await wantedPrefixes(db, videoId)
      for await (const { key } of media.list(`videos/${videoId}/`)) {
        task.signal.throwIfAborted()
        if (!wanted.some((prefix) => key.startsWith(prefix))) await media.delete(key)
      }
      for (const key of originalKeys) await originals.delete(key)
      await task.commit(() => Promise.resolve())
    },

    giveUp: () => Promise.resolve(),
  }
}

/** Of what is published, and of the attempt that is running. */
async function wantedPrefixes(db: Database, videoId: number): Promise<string[]> {
  const keys = await db
    .selectFrom('sources')
    .innerJoin('renditions', 'renditions.source_id', 'sources.id')
    .select('renditions.object_key')
    .where('sources.video_id', '=', videoId)
    .execute()
  const published = keys.map(({ object_key }) =>
    object_key.slice(0, object_key.lastIndexOf('/') + 1),
  )
  const running = (await findProcessingTasks(db, [videoId])).get(videoId)
  if (!running) return published
  const { sourceId } = running.payload as { sourceId: number }
  return [...published, `videos/${videoId}/${sourceId}-${running.lease_token}/`]
}
