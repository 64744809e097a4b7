import type { Database } from '../db/database.ts'
import type { ObjectInfo, ObjectStore } from '../ports/object-store/object-store.ts'
import type { TaskHandler } from '../tasks/task.ts'

const MINUTE = 60_000

/**
 * Removes the files of a video that nothing refers to: all of them when it was deleted, those of earlier versions and
 * failed attempts otherwise. What is wanted is read from the database each time, so it may run at any time and twice.
 */
export function tidyVideoHandler(needs: {
  db: Database
  originals: ObjectStore
  intermediates: ObjectStore
  media: ObjectStore
}): TaskHandler<'tidy_video'> {
  const { db, originals, intermediates, media } = needs
  return {
    attempts: 20,

    async run(task) {
      const { videoId, originalKeys } = task.payload
      // In this order: what is stored after the listing is not in it, and what was there is judged by now.
      const mediaObjects = await listObjects(media, `videos/${videoId}/`)
      const intermediateObjects = await listObjects(intermediates, `${videoId}/`)
      const unfinished = await unfinishedSources(db, videoId)
      const wanted = await wantedKeys(db, videoId)
      const isInWork = (key: string): boolean =>
        unfinished.some((id) => key.startsWith(`videos/${videoId}/${id}-`))
      for (const { key, modifiedAt } of mediaObjects) {
        task.signal.throwIfAborted()
        const isNew = isSubtitles(key) && Date.now() - modifiedAt.getTime() < MINUTE
        if (!wanted.has(key) && !isInWork(key) && !isNew) await media.delete(key)
      }
      for (const { key } of intermediateObjects) {
        const isNeeded = unfinished.some((id) => key.startsWith(`${videoId}/${id}/`))
        if (!isNeeded) await intermediates.delete(key)
      }
      for (const key of originalKeys) await originals.delete(key)
      await task.commit(() => Promise.resolve())
    },

    giveUp: () => Promise.resolve(),
  }
}

async function listObjects(store: ObjectStore, prefix: string): Promise<ObjectInfo[]> {
  const objects: ObjectInfo[] = []
  for await (const object of store.list(prefix)) objects.push(object)
  return objects
}

/** Uploaded ones are stored a moment before their row is written. */
function isSubtitles(key: string): boolean {
  return /^videos\/\d+\/subtitles\//.test(key)
}

/** Sources whose steps may still be storing files. Read first: what they finish meanwhile is wanted by name. */
async function unfinishedSources(db: Database, videoId: number): Promise<number[]> {
  const rows = await db
    .selectFrom('sources')
    .select('id')
    .where('video_id', '=', videoId)
    .where('state', 'in', ['pending', 'processing'])
    .execute()
  return rows.map(({ id }) => id)
}

/** All objects that rows name. */
async function wantedKeys(db: Database, videoId: number): Promise<Set<string>> {
  const sources = await db
    .selectFrom('sources')
    .select(['id', 'poster_key', 'storyboard'])
    .where('video_id', '=', videoId)
    .execute()
  const sourceIds = sources.map(({ id }) => id)
  const renditions = await db
    .selectFrom('renditions')
    .select('object_key')
    .where('source_id', 'in', [-1, ...sourceIds])
    .execute()
  const audioTracks = await db
    .selectFrom('audio_tracks')
    .select('object_key')
    .where('source_id', 'in', [-1, ...sourceIds])
    .execute()
  const subtitles = await db
    .selectFrom('subtitles')
    .select('object_key')
    .where('video_id', '=', videoId)
    .execute()
  const named = [...renditions, ...audioTracks, ...subtitles].map((row) => row.object_key)
  const stills = sources.flatMap((source) => [
    source.poster_key,
    ...(source.storyboard?.sheets ?? []),
  ])
  return new Set([...named, ...stills].filter((key) => key !== null))
}
