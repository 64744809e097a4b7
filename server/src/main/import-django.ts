import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { AppError } from '../errors.ts'
import { importFavorites } from '../moving/django/import-favorites.ts'
import { importUsers } from '../moving/django/import-users.ts'
import { importVideos } from '../moving/django/import-videos.ts'
import { openLegacyDatabase } from '../moving/django/legacy-database.ts'
import { reprocessImported } from '../moving/django/reprocess.ts'
import type { ImportReport } from '../moving/django/report.ts'
import { newId } from '../ports/ids.ts'
import { launch, migrateOrExplain } from './lifecycle.ts'
import { counted, progressLine, type ProgressLine } from './progress-line.ts'

export interface ImportDjangoOptions {
  databaseUrl: string
  mediaRoot: string
  mediaUrl: string
  copy?: boolean
  reprocess?: boolean
  dryRun?: boolean
}

/** `videoflix import-django`: exit code 1 if something was left out. */
export async function importDjango(options: ImportDjangoOptions): Promise<void> {
  const root = resolve(options.mediaRoot)
  await assertFolder(root)
  const { app, settings } = await launch()
  const line = progressLine()
  const legacy = await openLegacyDatabase(options.databaseUrl).catch(async (error: unknown) => {
    await app.close()
    throw error
  })
  try {
    await migrateOrExplain(app, settings)
    const needs = {
      db: app.db,
      engine: settings.database.kind,
      legacy,
      report: reportTo(line),
      isDryRun: options.dryRun ?? false,
      now: app.clock.now(),
    }
    const users = await importUsers(needs)
    const videos = await importVideos({
      ...needs,
      media: app.media,
      originals: app.originals,
      legacyMedia: { root, url: options.mediaUrl },
      tools: settings.ffmpeg,
      workDir: join(settings.tasks.workDir, `django-${newId()}`),
      isCopying: options.copy ?? false,
      signal: new AbortController().signal,
    })
    const markFile = join(settings.dataDir, 'import-django.json')
    const favorites = await importFavorites(needs, { users, videos, markFile })
    const isReprocessing = options.reprocess === true && !needs.isDryRun
    const reprocessed = isReprocessing ? await reprocessImported(app.db, needs.now) : 0
    line.end()
    const verb = needs.isDryRun ? 'Would take over' : 'Took over'
    say(
      `${verb} ${counted(users.added.size, 'user')}, ${counted(videos.added.size, 'video')} and ${counted(favorites, 'favourite')}; ` +
        `${counted(users.known.size, 'user')} and ${counted(videos.known.size, 'video')} were here already.`,
    )
    if (reprocessed > 0)
      say(`${counted(reprocessed, 'film')} will be encoded anew when there is time.`)
  } finally {
    line.end()
    await legacy.close()
    await app.close()
  }
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
    progress: (text) => line.show(text),
    notice(text) {
      line.end()
      say(text)
    },
    leftOut(text) {
      line.end()
      process.stderr.write(`left out: ${text}\n`)
      process.exitCode = 1
    },
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
