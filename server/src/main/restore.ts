import { join, resolve } from 'node:path'
import { restoreBackup } from '../moving/backup/restore-backup.ts'
import { DAYS_WITHOUT_SWEEP } from '../moving/backup/settle-restored.ts'
import { findSnapshot } from '../moving/backup/snapshot-folders.ts'
import { scratchName } from '../processing/scratch.ts'
import { assertUsable, launch } from './lifecycle.ts'
import { counted, progressLine } from './progress-line.ts'

export interface RestoreOptions {
  force?: boolean
  endSessions?: boolean
  snapshot?: string
}

const MOST_TOLD = 20

/** `videoflix restore`: into the database and the stores of the settings, whichever engine that is. */
export async function restore(folder: string, options: RestoreOptions): Promise<void> {
  const launched = await launch()
  const { app, settings } = launched
  const line = progressLine()
  try {
    await assertUsable(launched)
    const backupDir = resolve(folder)
    const { manifest, rows, objects, missing, damaged, migrated } = await restoreBackup({
      db: app.db,
      engine: settings.database.kind,
      stores: { media: app.media, originals: app.originals },
      backupDir,
      snapshot: await findSnapshot(backupDir, options.snapshot),
      workDir: join(settings.tasks.workDir, scratchName('restore')),
      isForced: options.force ?? false,
      endsSessions: options.endSessions ?? false,
      now: app.clock.now(),
      onObject: (done, all) => line.show(`${done} of ${counted(all, 'object')}`),
    })
    line.end()
    say(`Restored ${counted(rows, 'row')} of ${manifest.createdAt}.`)
    if (objects !== null) say(`Brought ${counted(objects, 'object')} back.`)
    for (const version of migrated) say(`applied ${version}`)
    for (const { store, key } of damaged.slice(0, MOST_TOLD)) {
      process.stderr.write(`damaged in the backup, and not brought back: ${store}/${key}\n`)
    }
    if (damaged.length > 0) {
      say(
        `${counted(damaged.length, 'object')} of the backup ${damaged.length === 1 ? 'is' : 'are'} not what was put there: bring them back from another backup, or upload the films again.`,
      )
      process.exitCode = 1
    }
    if (missing > 0) {
      say(
        `${counted(missing, 'object')} that rows name are not there: run \`videoflix audit-library\`.`,
      )
      process.exitCode = 1
    }
    say(
      `Files that were stored after this backup have no row now. The daily sweep leaves them alone for ${DAYS_WITHOUT_SWEEP} days: see \`videoflix audit-library --quick\`.`,
    )
    say(
      'Start with the SECRET_KEY of then: without it everybody signs in anew, and one-time codes are lost.',
    )
  } finally {
    line.end()
    await app.close()
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
