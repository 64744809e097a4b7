import { mkdir, rm } from 'node:fs/promises'
import { basename } from 'node:path'
import { CATEGORIES, DESCRIPTION_MAX, TITLE_MAX } from '@videoflix/contract'
import { isUniqueViolation, type Database } from '../../db/database.ts'
import { AppError } from '../../errors.ts'
import { MediaFailure } from '../../media/failure.ts'
import { titleOf } from '../../uploads/upload-fields.ts'
import { FILE_MISSING, originalKeyOf, stateOf, type NewVideo } from './add-video.ts'
import type { Imported } from './import-users.ts'
import { findFiles, inspectFiles, type Inspected, type LegacyFiles } from './inspect-video.ts'
import type { LegacyMedia } from './legacy-media.ts'
import { legacyVideo, type LegacyVideo } from './legacy-rows.ts'
import { storeFoundFiles, storeVideo, type VideoNeeds } from './store-video.ts'

/**
 * Videos with their ids, renditions as they are. Each is one transaction after its files are stored, so it may be cut off
 * anywhere and repeated; what is known is not touched.
 */
export async function importVideos(needs: VideoNeeds): Promise<Imported> {
  const { legacy, report } = needs
  const imported: Imported = { known: new Set(), added: new Set() }
  const titles = new Set<string>()
  const erased = await erasedVideos(needs.db)
  let count = 0
  for await (const row of legacy.rows('videos')) {
    const parsed = legacyVideo.safeParse(row)
    if (!parsed.success) {
      report.leftOut(`video ${String((row as { id: unknown }).id)}: the row cannot be read`)
      continue
    }
    const video = parsed.data
    report.progress(`video ${(count += 1)}: ${video.title}`)
    const verdict = await judge(needs, video, erased)
    if (typeof verdict === 'object') {
      report.leftOut(`video ${video.id} (${video.title}): ${verdict.whyNot}`)
    } else if (verdict === 'new') {
      if (await bringNew(needs, video, titles)) imported.added.add(video.id)
    } else {
      imported.known.add(video.id)
      if (verdict === 'lost') await bringFound(needs, video)
    }
  }
  return imported
}

/** As many are looked at before the first is taken over. */
const LOOKED_AT = 300

/**
 * A video without any file is taken over as one that failed. So nothing is where most have none: the place is
 * not the right one, or its disk is not mounted. Throws `conflict`.
 */
export async function assertFilesAreThere(
  needs: Pick<VideoNeeds, 'legacy' | 'legacyMedia'>,
): Promise<void> {
  let [looked, missing] = [0, 0]
  for await (const row of needs.legacy.rows('videos')) {
    const { data: video } = legacyVideo.safeParse(row)
    if (!video) continue
    if (await hasNoFile(needs.legacyMedia, video)) missing += 1
    if ((looked += 1) === LOOKED_AT) break
  }
  if (missing < 3 || missing * 2 <= looked) return
  throw new AppError(
    'conflict',
    `Of ${looked} videos ${missing} have no file there, so nothing was taken over: see whether --media-root or --media-s3 is the place of the original's media, and its disk mounted. A dry run (--dry-run) tells each missing file. If they are lost for good, add --even-if-most-is-missing.`,
  )
}

/** What is there and may not be read is told later, with its video. */
async function hasNoFile(media: LegacyMedia, video: LegacyVideo): Promise<boolean> {
  try {
    const { original, renditions } = await findFiles(media, video)
    return original === null && renditions.size === 0
  } catch (error) {
    if (whyLeftOut(error) === null) throw error
    return false
  }
}

/** `lost`: known, and without the file that it was taken over without. */
type Verdict = 'new' | 'known' | 'lost' | { whyNot: string }

async function judge(
  { db }: VideoNeeds,
  video: LegacyVideo,
  erased: Set<number>,
): Promise<Verdict> {
  const there = await db
    .selectFrom('videos')
    .leftJoin('sources', 'sources.id', 'videos.source_id')
    .select(['title', 'videos.created_at', 'upload_id', 'error_code'])
    .where('videos.id', '=', video.id)
    .executeTakeFirst()
  if (there?.upload_id === originalKeyOf(video)) {
    return there.error_code === FILE_MISSING ? 'lost' : 'known'
  }
  // Replaced here since.
  if (there?.created_at.getTime() === video.created_at.getTime()) return 'known'
  if (there) {
    const whyNot = `number ${video.id} is “${there.title}” here, uploaded before the import: upload this one by hand, or take an empty database and import before the first \`videoflix serve\``
    return { whyNot }
  }
  return erased.has(video.id) ? { whyNot: 'it was deleted here' } : 'new'
}

/** What came from the original and was deleted since: an upload of here has left another trace. */
async function erasedVideos(db: Database): Promise<Set<number>> {
  const rows = await db
    .selectFrom('audit')
    .select(['event', 'details'])
    .where('event', 'in', ['video_deleted', 'video_uploaded'])
    .execute()
  const idsOf = (event: string): number[] =>
    rows.filter((row) => row.event === event).map(({ details }) => Number(details['video']))
  const uploaded = new Set(idsOf('video_uploaded'))
  return new Set(idsOf('video_deleted').filter((id) => !uploaded.has(id)))
}

/** False where it was left out, which is told. */
async function bringNew(
  needs: VideoNeeds,
  video: LegacyVideo,
  titles: Set<string>,
): Promise<boolean> {
  return await orTell(needs, video, async (files, inspected, state) => {
    const fields = await readFields(needs, video, titles)
    tellNotices(needs, video, (inspected ?? files).notices)
    tellState(needs, video, inspected, state)
    titles.add(fields.title)
    if (inspected && !needs.isDryRun) await storeVideo(needs, video, fields, inspected)
  })
}

async function bringFound(needs: VideoNeeds, video: LegacyVideo): Promise<void> {
  await orTell(needs, video, async (files, inspected, state) => {
    if (state === 'error') return tellState(needs, video, inspected, state)
    tellNotices(needs, video, ['its file is there now', ...(inspected ?? files).notices])
    if (inspected && !needs.isDryRun) await storeFoundFiles(needs, video, inspected)
  })
}

/** One that fails holds up no other, unless all would fail. */
async function orTell(
  needs: VideoNeeds,
  video: LegacyVideo,
  bring: (
    files: LegacyFiles,
    inspected: Inspected | null,
    state: ReturnType<typeof stateOf>,
  ) => Promise<void>,
): Promise<boolean> {
  const { report, legacyMedia, isDryRun, workDir } = needs
  await rm(workDir, { recursive: true, force: true })
  await mkdir(workDir, { recursive: true, mode: 0o700 })
  try {
    const files = await findFiles(legacyMedia, video)
    const isOpened = !isDryRun || legacyMedia.isLocal
    const inspected = isOpened ? await inspectFiles(needs, files) : null
    await bring(files, inspected, inspected ? stateOf(inspected) : likelyStateOf(files))
    return true
  } catch (error) {
    const why = whyLeftOut(error)
    if (why === null) throw error
    report.leftOut(`video ${video.id} (${video.title}): ${why}`)
    return false
  } finally {
    await rm(workDir, { recursive: true, force: true })
  }
}

function tellNotices({ report }: VideoNeeds, { id }: LegacyVideo, notices: string[]): void {
  for (const notice of notices) report.notice(`video ${id}: ${notice}`)
}

/** If everything is what its name says. */
function likelyStateOf({ renditions, original }: LegacyFiles): ReturnType<typeof stateOf> {
  if (renditions.size > 0) return 'ready'
  return original ? 'pending' : 'error'
}

/** Null for what has nothing to do with this one. */
function whyLeftOut(error: unknown): string | null {
  if (error instanceof MediaFailure) return error.sentence
  if (error instanceof AppError && error.code === 'conflict') return error.message
  if (isUniqueViolation(error)) return 'somebody took its title or number: run this again'
  const { code, path } = error as NodeJS.ErrnoException
  return code === 'EACCES' || code === 'EPERM'
    ? `${path} cannot be read: run this as a user who may`
    : null
}

function tellState(
  { report }: VideoNeeds,
  { id, title }: LegacyVideo,
  inspected: Inspected | null,
  state: ReturnType<typeof stateOf>,
): void {
  if (state === 'pending') {
    report.notice(`video ${id}: it has nothing to play yet and will be processed`)
  }
  if (state !== 'error') return
  const why =
    inspected?.failure?.sentence ??
    'It is not there: put it there and run this again, or upload it to replace the video.'
  report.leftOut(`the file of video ${id} (${title}), which is an error here. ${why}`)
}

async function readFields(
  { db, report }: VideoNeeds,
  { id, title, description, category, video_file: file }: LegacyVideo,
  titles: Set<string>,
): Promise<NewVideo['fields']> {
  const wanted = first(TITLE_MAX, title.toWellFormed().trim()) || titleOf(basename(file))
  const free = await freeTitle(db, titles, wanted)
  if (free !== title) report.notice(`video ${id}: “${title}” is called “${free}” now`)
  const known = CATEGORIES.find((each) => each.toLowerCase() === category.trim().toLowerCase())
  if (known === undefined) report.notice(`video ${id}: its category “${category}” becomes Other`)
  const told = first(DESCRIPTION_MAX, description.toWellFormed().trim())
  return { title: free, description: told, category: known ?? 'Other' }
}

async function freeTitle(db: Database, titles: Set<string>, wanted: string): Promise<string> {
  const isTaken = async (title: string): Promise<boolean> => {
    if (titles.has(title)) return true
    const query = db.selectFrom('videos').select('id').where('title', '=', title)
    return (await query.executeTakeFirst()) !== undefined
  }
  let candidate = wanted
  for (let number = 2; await isTaken(candidate); number += 1) {
    candidate = `${first(TITLE_MAX - 10, wanted)} (${number})`
  }
  return candidate
}

/** Counted in code points. */
function first(count: number, text: string): string {
  return [...text].slice(0, count).join('')
}
