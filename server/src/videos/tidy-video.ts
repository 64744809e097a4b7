import type { Database } from '../db/database.ts'
import type { ObjectStore } from '../ports/object-store/object-store.ts'
import type { TaskHandler } from '../tasks/task.ts'
import { prefixOf } from './process-source.ts'
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
      // In this order: what an attempt stores after the listing is not in it, and what was there is judged by now.
      const keys = await listKeys(media, `videos/${videoId}/`)
      const wanted = await wantedPrefixes(db, videoId)
      for (const key of keys) {
        task.signal.throwIfAborted()
        if (!wanted.some((prefix) => key.startsWith(prefix))) await media.delete(key)
      }
      for (const key of originalKeys) await originals.delete(key)
      await task.commit(() => Promise.resolve())
    },

    giveUp: () => Promise.resolve(),
  }
}

async function listKeys(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of store.list(prefix)) keys.push(key)
  return keys
}

/**
 * Of the attempt that is running, and of what is published. Read in this order: an attempt that ends in between is in
 * both rather than in neither.
 */
async function wantedPrefixes(db: Database, videoId: number): Promise<string[]> {
  const running = (await findProcessingTasks(db, [videoId])).get(videoId)
  const keys = await db
    .selectFrom('sources')
    .innerJoin('renditions', 'renditions.source_id', 'sources.id')
    .select('renditions.object_key')
    .where('sources.video_id', '=', videoId)
    .execute()
  const published = keys.map(({ object_key }) =>
    object_key.slice(0, object_key.lastIndexOf('/') + 1),
  )
  if (!running) return published
  const { sourceId: id } = running.payload as { sourceId: number }
  const attempt = { id: running.id, leaseToken: running.lease_token }
  return [...published, `${prefixOf({ videoId, id }, attempt)}/`]
}
