import { transact, type Database, type Transacting } from '../db/database.ts'
import type { SourceRow } from '../db/tables.ts'
import { AppError } from '../errors.ts'
import { lockSource } from '../processing/follow-up.ts'
import { withdraw } from '../processing/publication.ts'
import type { ObjectStore } from '../ports/object-store/object-store.ts'
import type { Library } from '../videos/library.ts'
import { touch } from '../videos/touch.ts'
import type { Finding } from './finding.ts'
import { isOriginalBack } from './original-back.ts'

/** What became of a damaged video, in a word and a sentence. */
export interface Repair {
  videoId: number
  outcome: 'reprocessing' | 'reduced' | 'returned' | 'error' | 'left'
  sentence: string
}

export interface RepairNeeds {
  db: Database
  originals: ObjectStore
  library: Library
  now: () => Date
}

/**
 * A damaged source is processed once more if its original is there. If not, what is lost is not offered any more; a
 * video of which nothing is left to play ends as an error. May be repeated.
 */
export async function repairSource(
  needs: RepairNeeds,
  source: SourceRow,
  findings: Finding[],
): Promise<Repair> {
  const { video_id: videoId } = source
  const mediaKeys = findings.filter(({ store }) => store === 'media').map(({ key }) => key)
  const isBack = await takeBack(needs, source)
  const isOriginalWhole = isBack || (await isKept(needs, source))
  if (!isOriginalWhole) await forgetOriginal(needs, source)
  const isLost = source.error_code === FILES_LOST || mediaKeys.length > 0
  if (isOriginalWhole && isLost && (await isNewest(needs.db, source))) {
    return await reprocess(needs, videoId)
  }
  if (mediaKeys.length > 0) return await giveUp(needs, source, mediaKeys)
  return isBack
    ? { videoId, outcome: 'returned', sentence: 'its original is there, and can be used again' }
    : { videoId, outcome: 'reduced', sentence: 'it plays, but cannot be processed again' }
}

async function isKept({ originals }: RepairNeeds, source: SourceRow): Promise<boolean> {
  if (source.original_dropped_at !== null) return false
  return (await originals.find(source.object_key))?.sizeBytes === source.size_bytes
}

/** Looks once more: with KEEP_ORIGINAL=False it may have been on its way out. */
async function takeBack(needs: RepairNeeds, source: SourceRow): Promise<boolean> {
  if (!(await isOriginalBack(needs, source))) return false
  const { numUpdatedRows } = await needs.db
    .updateTable('sources')
    .set({ original_dropped_at: null })
    .where('id', '=', source.id)
    .where('original_dropped_at', '=', source.original_dropped_at)
    .where('state', 'in', ['ready', 'error'])
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

async function reprocess({ library }: RepairNeeds, videoId: number): Promise<Repair> {
  try {
    await library.retry(videoId)
    return { videoId, outcome: 'reprocessing', sentence: 'it is processed once more' }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return { videoId, outcome: 'left', sentence: error.message }
  }
}

async function isNewest(db: Database, { id, video_id: videoId }: SourceRow): Promise<boolean> {
  const video = await db
    .selectFrom('videos')
    .select('source_id')
    .where('id', '=', videoId)
    .executeTakeFirst()
  return video?.source_id === id
}

async function forgetOriginal({ db, now }: RepairNeeds, source: SourceRow): Promise<void> {
  await db
    .updateTable('sources')
    .set({ original_dropped_at: now() })
    .where('id', '=', source.id)
    .where('original_dropped_at', 'is', null)
    .where('state', 'in', ['ready', 'error'])
    .execute()
}

const FILES_LOST = 'files_lost'
const LOST =
  'The files of this video are damaged or lost, and so is its original. Upload the film again.'

async function giveUp(
  { db, now }: RepairNeeds,
  { id, video_id: videoId }: SourceRow,
  lost: string[],
): Promise<Repair> {
  return await transact(db, async (trx) => {
    const source = await lockSource(trx, id)
    if (source === null || source.state === 'pending' || source.state === 'processing') {
      return { videoId, outcome: 'left', sentence: 'it is being processed' }
    }
    await dropRows(trx, source, lost)
    const rest = await trx
      .selectFrom('renditions')
      .select('quality')
      .where('source_id', '=', id)
      .execute()
    const isLost = rest.length === 0
    if (isLost) await markLost(trx, source, now())
    await touch(trx, videoId, now())
    return isLost
      ? { videoId, outcome: 'error', sentence: LOST }
      : {
          videoId,
          outcome: 'reduced',
          sentence: `what is lost is not offered any more; there is ${rest.map(({ quality }) => quality).join(', ')}`,
        }
  })
}

async function dropRows(trx: Transacting, source: SourceRow, lost: string[]): Promise<void> {
  for (const table of ['renditions', 'audio_tracks', 'subtitles', 'fragment_indexes'] as const) {
    await trx.deleteFrom(table).where('object_key', 'in', lost).execute()
  }
  const isStoryboardLost = source.storyboard?.sheets.some((key) => lost.includes(key)) ?? false
  const isPosterLost = source.poster_key !== null && lost.includes(source.poster_key)
  if (!isStoryboardLost && !isPosterLost) return
  await trx
    .updateTable('sources')
    .set({
      ...(isStoryboardLost && { storyboard: null }),
      ...(isPosterLost && { poster_key: null }),
    })
    .where('id', '=', source.id)
    .execute()
}

async function markLost(trx: Transacting, source: SourceRow, now: Date): Promise<void> {
  await trx
    .updateTable('sources')
    .set({
      state: 'error',
      error_code: FILES_LOST,
      error_message: LOST,
      updated_at: now,
    })
    .where('id', '=', source.id)
    .execute()
  await withdraw(trx, source)
}
