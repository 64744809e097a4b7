import type { Database } from '../db/database.ts'
import type { Clock } from '../ports/clock.ts'
import type { ObjectInfo, ObjectStore } from '../ports/object-store/object-store.ts'
import { waitForStore } from '../tasks/store-away.ts'
import type { RunningTask, TaskHandler } from '../tasks/task.ts'
import { namedAmong, unfinishedAmong } from './named-keys.ts'
import {
  intermediatesOfVideo,
  isSubtitlesKey,
  mediaOfVideo,
  sourceOfIntermediate,
  sourceOfMedia,
} from './object-keys.ts'

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
  clock: Clock
}): TaskHandler<'tidy_video'> {
  const { db, originals, intermediates, media, clock } = needs

  async function judge(ofMedia: ObjectInfo[], ofIntermediates: ObjectInfo[]) {
    const mediaKeys = ofMedia.map(({ key }) => key)
    const mediaSources = mediaKeys.flatMap((key) => sourceOfMedia(key) ?? [])
    const stepSources = ofIntermediates.flatMap(({ key }) => sourceOfIntermediate(key) ?? [])
    const unfinished = await unfinishedAmong(db, [...new Set([...mediaSources, ...stepSources])])
    const named = await namedAmong(db, mediaKeys, [...new Set(mediaSources)])
    const isInWork = (sourceId: number | null): boolean =>
      sourceId !== null && unfinished.has(sourceId)
    // Uploaded subtitles are stored a moment before their row is written.
    const isNew = ({ key, modifiedAt }: ObjectInfo): boolean =>
      isSubtitlesKey(key) && clock.now().getTime() - modifiedAt.getTime() < MINUTE
    return {
      media: (object: ObjectInfo) =>
        !named.has(object.key) && !isInWork(sourceOfMedia(object.key)) && !isNew(object),
      intermediate: ({ key }: ObjectInfo) => !isInWork(sourceOfIntermediate(key)),
    }
  }

  async function tidy(task: RunningTask<'tidy_video'>): Promise<void> {
    const { videoId, originalKeys } = task.payload
    // In this order: what is stored after the listing is not in it, and what was there is judged by now.
    const mediaKeys = await listObjects(media, mediaOfVideo(videoId))
    const intermediateKeys = await listObjects(intermediates, intermediatesOfVideo(videoId))
    const unwanted = await judge(mediaKeys, intermediateKeys)
    for (const { key } of mediaKeys.filter(unwanted.media)) {
      task.signal.throwIfAborted()
      await media.delete(key)
    }
    for (const { key } of intermediateKeys.filter(unwanted.intermediate)) {
      await intermediates.delete(key)
    }
    for (const key of originalKeys) await originals.delete(key)
  }

  return {
    attempts: 20,

    async run(task) {
      await tidy(task).catch((error: unknown) => {
        throw waitForStore(error)
      })
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
