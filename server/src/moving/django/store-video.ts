import { constants } from 'node:fs'
import { copyFile, mkdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { transact } from '../../db/database.ts'
import { AppError } from '../../errors.ts'
import { MediaFailure } from '../../media/failure.ts'
import type { MediaTools } from '../../media/tools.ts'
import type { ObjectStore } from '../../ports/object-store/object-store.ts'
import { shownFileName } from '../../uploads/upload-fields.ts'
import { raiseLastIds } from '../sequences.ts'
import { addFound, addVideo, mediaKeyOf, originalKeyOf, type NewVideo } from './add-video.ts'
import type { ImportNeeds } from './import-users.ts'
import type { Inspected } from './inspect-video.ts'
import type { LegacyMedia } from './legacy-media.ts'
import type { LegacyVideo } from './legacy-rows.ts'
import { posterOfFilm, posterOfPicture } from './make-poster.ts'

export interface VideoNeeds extends ImportNeeds {
  media: ObjectStore
  originals: ObjectStore
  legacyMedia: LegacyMedia
  tools: MediaTools
  workDir: string
  /** Local files are copied first, so that nothing is shared with the original. */
  isCopying: boolean
  signal: AbortSignal
}

/** Its files, and then its rows. Throws `conflict` for a file that changes meanwhile. */
export async function storeVideo(
  needs: VideoNeeds,
  video: LegacyVideo,
  fields: NewVideo['fields'],
  inspected: Inspected,
): Promise<void> {
  const files = await storeFiles(needs, video, inspected)
  await transact(needs.db, async (trx) => {
    await addVideo(trx, { video, fields, inspected, ...files }, needs.now)
    await raiseLastIds(trx, needs.engine, { videos: video.id })
  })
  // A running server removes originals without a row, by their age: a linked file is as old as it was.
  await storeOriginal(needs, video, inspected)
}

/**
 * The same for one that was taken over without its files; what was edited since stays. Throws `conflict` also when
 * somebody has replaced or deleted it meanwhile.
 */
export async function storeFoundFiles(
  needs: VideoNeeds,
  video: LegacyVideo,
  inspected: Inspected,
): Promise<void> {
  const files = await storeFiles(needs, video, inspected)
  await transact(needs.db, (trx) => addFound(trx, { video, inspected, ...files }, needs.now))
  await storeOriginal(needs, video, inspected)
}

async function storeFiles(
  needs: VideoNeeds,
  video: LegacyVideo,
  inspected: Inspected,
): Promise<Pick<NewVideo, 'original' | 'hasPoster'>> {
  const { media } = needs
  for (const { quality, path } of inspected.renditions) {
    await put(needs, media, mediaKeyOf(video, `${quality}.mp4`), path)
  }
  const poster = await makePoster(needs, inspected)
  if (poster !== null) await media.putFile(mediaKeyOf(video, 'poster.jpg'), poster)
  const original = await storeOriginal(needs, video, inspected)
  return { original, hasPoster: poster !== null }
}

async function storeOriginal(
  needs: VideoNeeds,
  video: LegacyVideo,
  { original }: Inspected,
): Promise<NewVideo['original']> {
  if (original === null) return null
  const sizeBytes = await put(needs, needs.originals, originalKeyOf(video), original.path)
  return { sizeBytes, fileName: shownFileName(original.name) }
}

/** What is there, whole, is left: a second run goes on where the first was cut off. */
async function put(
  { isCopying: isWished, legacyMedia, workDir }: VideoNeeds,
  target: ObjectStore,
  key: string,
  path: string,
): Promise<number> {
  const isCopying = isWished && legacyMedia.isLocal
  const { size } = await stat(path)
  const there = await target.find(key)
  if (there?.sizeBytes === size) return size
  const from = isCopying ? join(workDir, 'copy') : path
  if (isCopying) await copyFile(path, from, constants.COPYFILE_FICLONE)
  await target.putFile(key, from)
  if (isCopying) await rm(from)
  const stored = await target.find(key)
  if (stored?.sizeBytes === size) return size
  throw new AppError('conflict', `${path} changed while it was copied: run this again.`)
}

/** None is no failure: processing makes one. */
async function makePoster(
  { tools, signal, workDir }: VideoNeeds,
  { image, renditions, original }: Inspected,
): Promise<string | null> {
  const job = { tools, signal, workDir: join(workDir, 'poster') }
  await mkdir(job.workDir)
  const chosen = image === null ? null : await unlessUnreadable(posterOfPicture(job, image))
  const film = renditions.at(-1) ?? original?.film ?? null
  const isMissing = chosen === null && film !== null && renditions.length > 0
  return isMissing ? await unlessUnreadable(posterOfFilm(job, film)) : chosen
}

/** A film is worth having without its poster, whatever is wrong with that; only this machine may not be to blame. */
async function unlessUnreadable(poster: Promise<string | null>): Promise<string | null> {
  try {
    return await poster
  } catch (error) {
    const isOfThisMachine =
      !(error instanceof MediaFailure) || ['disk_full', 'tool_missing'].includes(error.reason)
    if (isOfThisMachine) throw error
    return null
  }
}
