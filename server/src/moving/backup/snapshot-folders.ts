import { mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../../errors.ts'
import { newId } from '../../ports/ids.ts'
import type { BackupLock } from './backup-lock.ts'
import { explained } from './folder-errors.ts'

/**
 * A backup is a folder: `snapshots/<time>/` has the database and a list of objects as they were then, `objects/` the
 * objects of all snapshots, each once.
 */
export const SNAPSHOTS = 'snapshots'
export const OBJECTS = 'objects'

const UNFINISHED = '.unfinished-'

/** Writes into a folder that gets its name when all of it is on the disk; on any error nothing of it stays. */
export async function writeSnapshotFolder(
  { backupDir, lock, now }: { backupDir: string; lock: BackupLock; now: Date },
  write: (folder: string) => Promise<void>,
): Promise<string> {
  const parent = join(backupDir, SNAPSHOTS)
  const unfinished = join(parent, `${UNFINISHED}${newId()}`)
  const target = join(parent, now.toISOString().replaceAll(/[:.]/g, '-'))
  try {
    await mkdir(parent, { recursive: true, mode: 0o700 })
    await removeLeftovers(parent)
    await mkdir(unfinished, { mode: 0o700 })
    await write(unfinished)
    await syncFolder(unfinished)
    await lock.assertHeld()
    await rename(unfinished, target)
    await syncFolder(parent)
    return target
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true }).catch(() => {})
    throw explained(error, backupDir)
  }
}

/** Those of killed backups: no other is at work. */
async function removeLeftovers(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (name.startsWith(UNFINISHED)) await rm(join(parent, name), { recursive: true })
  }
}

/** Names of whole snapshots, oldest first. */
export async function listSnapshots(backupDir: string): Promise<string[]> {
  const names = await readdir(join(backupDir, SNAPSHOTS)).catch(() => [])
  return names.filter((name) => /^\d{4}-/.test(name)).sort()
}

/** The newest, or the one that is asked for. Throws `invalid` where there is none. */
export async function findSnapshot(backupDir: string, wanted?: string): Promise<string> {
  const names = await listSnapshots(backupDir)
  const name = wanted === undefined ? names.at(-1) : names.find((each) => each === wanted)
  if (name !== undefined) return join(backupDir, SNAPSHOTS, name)
  const which =
    wanted === undefined
      ? `There is no backup in ${backupDir}.`
      : `There is no snapshot ${wanted} in ${backupDir}. There are: ${names.join(', ') || 'none'}.`
  throw new AppError('invalid', which)
}

/** Removes the oldest snapshots. Objects stay: `pruneBackup` sees to those. */
export async function keepNewest(backupDir: string, count: number): Promise<string[]> {
  const old = (await listSnapshots(backupDir)).slice(0, -count)
  for (const name of old) await rm(join(backupDir, SNAPSHOTS, name), { recursive: true })
  return old
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
