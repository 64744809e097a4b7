import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { AppError } from '../errors.ts'
import { importFavorites } from '../moving/django/import-favorites.ts'
import { importUsers } from '../moving/django/import-users.ts'
import { assertFilesAreThere, importVideos } from '../moving/django/import-videos.ts'
import { openLegacyDatabase } from '../moving/django/legacy-database.ts'
import { openLegacyFolder } from '../moving/django/legacy-files.ts'
import type { LegacyMedia } from '../moving/django/legacy-media.ts'
import { reprocessImported } from '../moving/django/reprocess.ts'
import { onOneLine, type ImportReport } from '../moving/django/report.ts'
import { legacyS3Settings } from './legacy-s3-settings.ts'
import { scratchName } from '../processing/scratch.ts'
import { launch, migrateOrExplain } from './lifecycle.ts'
import { counted, progressLine, type ProgressLine } from './progress-line.ts'

export interface ImportDjangoOptions {
  databaseUrl: string
  /** One of the two. */
  mediaRoot?: string
  mediaS3?: string
  /** False: the bucket is read without a key. */
  signRequest: boolean
  mediaUrl: string
  copy?: boolean
  reprocess?: boolean
  dryRun?: boolean
  evenIfMostIsMissing?: boolean
}

/** `videoflix import-django`: exit code 1 if something was left out. */
export async function importDjango(options: ImportDjangoOptions): Promise<void> {
  assertOnePlace(options)
  await using stack = new AsyncDisposableStack()
  const { app, settings } = await launch()
  stack.defer(() => app.close())
  const legacyMedia = await openLegacyMedia(options)
  stack.defer(() => legacyMedia.close())
  const legacy = await openLegacyDatabase(options.databaseUrl)
  stack.defer(() => legacy.close())
  const line = progressLine()
  try {
    await migrateOrExplain(settings)
    const needs = {
      db: app.db,
      engine: settings.database.kind,
      legacy,
      report: reportTo(line),
      isDryRun: options.dryRun ?? false,
      now: app.clock.now(),
    }
    if (!needs.isDryRun && options.evenIfMostIsMissing !== true) {
      await assertFilesAreThere({ legacy, legacyMedia })
    }
    const users = await importUsers(needs)
    const videos = await importVideos({
      ...needs,
      media: app.media,
      originals: app.originals,
      legacyMedia,
      tools: settings.ffmpeg,
      workDir: join(settings.tasks.workDir, scratchName('django')),
      isCopying: options.copy ?? false,
      signal: new AbortController().signal,
    })
    const favorites = await importFavorites(needs, { users, videos })
    const isReprocessing = options.reprocess === true && !needs.isDryRun
    const reprocessed = isReprocessing ? await reprocessImported(app.db, needs.now) : 0
    line.end()
    const verb = needs.isDryRun ? 'Would take over' : 'Took over'
    say(
      `${verb} ${counted(users.added.size, 'user')}, ${counted(videos.added.size, 'video')} and ${counted(favorites, 'favourite')}; ` +
        `${counted(users.known.size, 'user')} and ${counted(videos.known.size, 'video')} were here already.`,
    )
    if (needs.isDryRun && !legacyMedia.isLocal) {
      say(
        'Files in the bucket were looked for, not opened: what is no film shows when it is taken over.',
      )
    }
    if (reprocessed > 0)
      say(`${counted(reprocessed, 'film')} will be encoded anew when there is time.`)
  } finally {
    line.end()
  }
}

function assertOnePlace({ mediaRoot, mediaS3 }: ImportDjangoOptions): void {
  if ((mediaRoot === undefined) !== (mediaS3 === undefined)) return
  throw new AppError(
    'invalid',
    'Say where the files of the original are: --media-root for a folder, or --media-s3 for a bucket.',
  )
}

async function openLegacyMedia(options: ImportDjangoOptions): Promise<LegacyMedia> {
  const { mediaRoot, mediaS3, signRequest: isSigned, mediaUrl: url } = options
  if (mediaRoot !== undefined) {
    const root = resolve(mediaRoot)
    await assertFolder(root)
    return openLegacyFolder({ root, url })
  }
  const settings = legacyS3Settings(mediaS3 ?? '', process.env)
  // The SDK takes its time to load.
  const { openLegacyBucket } = await import('../moving/django/legacy-bucket.ts')
  return await openLegacyBucket({ settings, isSigned, url })
}

async function assertFolder(root: string): Promise<void> {
  const found = await stat(root).catch(() => null)
  if (found?.isDirectory()) return
  throw new AppError(
    'invalid',
    `There is no folder ${root}: --media-root is the MEDIA_ROOT of the original.`,
  )
}

function reportTo(line: ProgressLine): ImportReport {
  return {
    progress: (text) => line.show(onOneLine(text)),
    notice(text) {
      line.end()
      say(onOneLine(text))
    },
    leftOut(text) {
      line.end()
      process.stderr.write(`left out: ${onOneLine(text)}\n`)
      process.exitCode = 1
    },
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
