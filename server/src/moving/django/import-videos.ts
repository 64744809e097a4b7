import { constants } from 'node:fs'
import { copyFile, mkdir, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { CATEGORIES, DESCRIPTION_MAX, TITLE_MAX } from '@videoflix/contract'
import { isUniqueViolation, transact, type Database } from '../../db/database.ts'
import { AppError } from '../../errors.ts'
import { MediaFailure } from '../../media/failure.ts'
import type { MediaTools } from '../../media/tools.ts'
import type { ObjectStore } from '../../ports/object-store/object-store.ts'
import { shownFileName, titleOf } from '../../uploads/upload-fields.ts'
import { raiseLastIds } from '../sequences.ts'
import { addVideo, mediaKeyOf, originalKeyOf, stateOf, type NewVideo } from './add-video.ts'
import type { Imported, ImportNeeds } from './import-users.ts'
import { findFiles, inspectFiles, type Inspected, type LegacyFiles } from './inspect-video.ts'
import type { LegacyMedia } from './legacy-media.ts'
import { legacyVideo, type LegacyVideo } from './legacy-rows.ts'
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
    if (verdict === 'known') imported.known.add(video.id)
    else if (verdict !== 'new') report.leftOut(`video ${video.id} (${video.title}): ${verdict}`)
    else if (await importOrTell(needs, video, titles)) imported.added.add(video.id)
  }
  return imported
}

/** As many are looked at before the first is taken over. */
const LOOKED_AT = 300

/**
 * A video without any file is taken over as one that failed, for good. So nothing is where most have none: the place is
 * not the right one, or its disk is not mounted. Throws `conflict`.
 */
export async function assertFilesAreThere(
  needs: Pick<VideoNeeds, 'legacy' | 'legacyMedia'>,
): Promise<void> {
  let [looked, missing] = [0, 0]
  for await (const row of needs.legacy.rows('videos')) {
    const { data: video } = legacyVideo.safeParse(row)
    if (!video) continue
    const { original, renditions } = await findFiles(needs.legacyMedia, video)
    if (!original && renditions.size === 0) missing += 1
    if ((looked += 1) === LOOKED_AT) break
  }
  if (missing < 3 || missing * 2 <= looked) return
  throw new AppError(
    'conflict',
    `Of ${looked} videos ${missing} have no file there, so nothing was taken over: see whether --media-root or --media-s3 is the place of the original's media, and its disk mounted. A dry run (--dry-run) tells each missing file. If they are lost for good, add --even-if-most-is-missing.`,
  )
}

async function judge({ db }: VideoNeeds, video: LegacyVideo, erased: Set<number>): Promise<string> {
  const there = await db
    .selectFrom('videos')
    .select(['title', 'created_at'])
    .where('id', '=', video.id)
    .executeTakeFirst()
  if (there?.created_at.getTime() === video.created_at.getTime()) return 'known'
  if (there) {
    return `number ${video.id} is “${there.title}” here, uploaded before the import: upload this one by hand, or take an empty database and import before the first \`videoflix serve\``
  }
  return erased.has(video.id) ? 'it was deleted here' : 'new'
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

/** One that fails holds up no other, unless all would fail. */
async function importOrTell(
  needs: VideoNeeds,
  video: LegacyVideo,
  titles: Set<string>,
): Promise<boolean> {
  const { report, legacyMedia, isDryRun, workDir } = needs
  await rm(workDir, { recursive: true, force: true })
  await mkdir(workDir, { recursive: true, mode: 0o700 })
  try {
    const files = await findFiles(legacyMedia, video)
    const isOpened = !isDryRun || legacyMedia.isLocal
    const inspected = isOpened ? await inspectFiles(needs, files) : null
    const fields = await readFields(needs, video, titles)
    for (const notice of (inspected ?? files).notices) report.notice(`video ${video.id}: ${notice}`)
    tellState(needs, video, inspected ? stateOf(inspected) : likelyStateOf(files))
    titles.add(fields.title)
    if (inspected && !isDryRun) await store(needs, video, fields, inspected)
    return true
  } catch (error) {
    const why = whyLeftOut(error)
    if (why === null) throw error
    report.leftOut(`video ${video.id}: ${why}`)
    return false
  } finally {
    await rm(workDir, { recursive: true, force: true })
  }
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
  { id }: LegacyVideo,
  state: ReturnType<typeof stateOf>,
): void {
  switch (state) {
    case 'ready':
      break
    case 'pending':
      report.notice(`video ${id}: it has nothing to play yet and will be processed`)
      break
    case 'error':
      report.notice(`video ${id}: there is no usable file: it is taken over as an error`)
  }
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

async function store(
  needs: VideoNeeds,
  video: LegacyVideo,
  fields: NewVideo['fields'],
  inspected: Inspected,
): Promise<void> {
  const { db, engine, media } = needs
  for (const { quality, path } of inspected.renditions) {
    await put(needs, media, mediaKeyOf(video, `${quality}.mp4`), path)
  }
  const poster = await makePoster(needs, inspected)
  if (poster !== null) await media.putFile(mediaKeyOf(video, 'poster.jpg'), poster)
  const original = await storeOriginal(needs, video, inspected)
  const added = { video, fields, inspected, original, hasPoster: poster !== null }
  await transact(db, async (trx) => {
    await addVideo(trx, added, needs.now)
    await raiseLastIds(trx, engine, { videos: video.id })
  })
  // A running server removes originals without a row, by their age: a linked file is as old as it was.
  await storeOriginal(needs, video, inspected)
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
