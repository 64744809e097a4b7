import { mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { AppError } from '../../errors.ts'
import { newId } from '../../ports/ids.ts'
import { explained } from './folder-errors.ts'

/** That nobody else writes to a backup, for as long as the work takes. */
export interface BackupLock {
  /** Throws `conflict` if this process stood still for so long that another took the lock. */
  assertHeld(): Promise<void>
}

const LOCK_FILE = 'lock'
const MINUTE = 60_000
const BEAT_MS = MINUTE / 4
/** A disk of a network may keep a beat waiting, and a large SQLite database this process. */
const STALE_MS = 5 * MINUTE

/**
 * Two that write at once would harm each other: the first to end removes what only the unfinished snapshot of the other
 * names. Of a process that was killed the lock is taken over. Throws `conflict`.
 */
export async function whileLocked<T>(
  backupDir: string,
  work: (lock: BackupLock) => Promise<T>,
): Promise<T> {
  const path = join(backupDir, LOCK_FILE)
  const mark = JSON.stringify({ id: newId(), since: new Date(), host: hostname() })
  await take(path, mark, backupDir).catch((error: unknown) => {
    throw explained(error, backupDir)
  })
  // The disk may be dated by another clock.
  await beat(path, mark)
  const timer = setInterval(() => void beat(path, mark).catch(() => {}), BEAT_MS)
  try {
    return await work({
      async assertHeld() {
        if ((await markAt(path)) !== mark) throw overtaken(backupDir)
      },
    })
  } finally {
    clearInterval(timer)
    if ((await markAt(path).catch(() => null)) === mark) await rm(path, { force: true })
  }
}

async function beat(path: string, mark: string): Promise<void> {
  const now = new Date()
  if ((await markAt(path)) === mark) await utimes(path, now, now)
}

async function take(path: string, mark: string, backupDir: string): Promise<void> {
  await mkdir(backupDir, { recursive: true, mode: 0o700 })
  if (await isTaken(path, mark)) return
  const other = await markAt(path)
  if (await isBeating(path)) throw busy(backupDir, other)
  await clearStale(path, other)
  if (!(await isTaken(path, mark))) throw busy(backupDir, await markAt(path))
}

/** By no link: not every disk for backups has them. */
async function isTaken(path: string, mark: string): Promise<boolean> {
  try {
    await writeFile(path, mark, { mode: 0o600, flag: 'wx' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

async function isBeating(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => null)
  return found !== null && Date.now() - found.mtimeMs <= STALE_MS
}

/** Of two that take over at once, the second may find the new lock of the first: that one is put back. */
async function clearStale(path: string, stale: string | null): Promise<void> {
  const aside = `${path}-${newId()}`
  try {
    await rename(path, aside)
    const mark = await markAt(aside)
    if (mark !== null && mark !== stale) await isTaken(path, mark)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  } finally {
    await rm(aside, { force: true })
  }
}

async function markAt(path: string): Promise<string | null> {
  return await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
}

function busy(backupDir: string, mark: string | null): AppError {
  const { since, host } = readMark(mark)
  return new AppError(
    'conflict',
    `Another backup is writing to ${backupDir} since ${since} (on ${host}): wait for it to end, or choose ` +
      `another folder. If it was killed, this one is free ${STALE_MS / MINUTE} minutes later.`,
  )
}

function overtaken(backupDir: string): AppError {
  return new AppError(
    'conflict',
    `This backup stood still for so long that another one may write to ${backupDir} now: run it again.`,
  )
}

const lockMark = z.object({ since: z.string(), host: z.string() })

/** It may be empty for a moment. */
function readMark(mark: string | null): z.infer<typeof lockMark> {
  try {
    return lockMark.parse(JSON.parse(mark ?? ''))
  } catch {
    return { since: 'just now', host: 'an unknown machine' }
  }
}
