import { resolve } from 'node:path'
import { AppError } from '../errors.ts'
import { createBackup } from '../moving/backup/create-backup.ts'
import { launch, migrateOrExplain } from './lifecycle.ts'
import { counted, inBytes, progressLine } from './progress-line.ts'

export interface BackupOptions {
  media?: boolean
  checksums?: boolean
  keep?: string
}

/** `videoflix backup`: a snapshot while the server runs. */
export async function backUp(folder: string, options: BackupOptions): Promise<void> {
  const keep = options.keep === undefined ? null : readCount(options.keep)
  const { app, settings } = await launch()
  const line = progressLine()
  try {
    await migrateOrExplain(settings)
    const {
      folder: made,
      manifest,
      copied,
      pruned,
    } = await createBackup({
      db: app.db,
      engine: settings.database.kind,
      stores: { media: app.media, originals: app.originals },
      backupDir: resolve(folder),
      copiesObjects: options.media ?? false,
      hashesObjects: options.checksums ?? false,
      keep,
      now: app.clock.now(),
      onObject: (done, all) => line.show(`${done} of ${counted(all, 'object')}`),
    })
    line.end()
    const rows = manifest.tables.reduce((sum, table) => sum + table.lines, 0)
    const { lines, totalBytes, missing, areCopied } = manifest.objects
    const objects = `${counted(lines, 'object')} (${inBytes(totalBytes)})`
    say(`${made}: ${counted(rows, 'row')} of ${counted(manifest.tables.length, 'table')}.`)
    say(
      areCopied
        ? `${objects}, ${copied} of them new.`
        : `${objects} listed, not copied: see --media.`,
    )
    if (missing > 0) {
      say(`${counted(missing, 'object')} of these are missing: run \`videoflix audit-library\`.`)
    }
    if (pruned.snapshots > 0) {
      say(
        `Removed ${counted(pruned.snapshots, 'old snapshot')} and ${counted(pruned.objects, 'object')}.`,
      )
    }
    say('SECRET_KEY is not in it: keep it apart, or one-time codes and sessions are lost.')
  } finally {
    line.end()
    await app.close()
  }
}

function readCount(text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count > 0) return count
  throw new AppError('invalid', '--keep is how many snapshots stay: 1 or more.')
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
