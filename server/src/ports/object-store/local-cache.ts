import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { copyFile, link, mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { AppError } from '../../errors.ts'
import { newId } from '../ids.ts'
import { sharedWork } from './shared-work.ts'

/**
 * Copies of remote objects on this machine, for the steps of one film that follow each other. Who asks gets a second name
 * for the bytes in a folder of its own: so removing a copy here takes nothing from anybody. Several processes may share
 * the folder.
 */
export interface LocalCache {
  /** The path of the whole object in `workDir`. Throws what `download` throws, `disk_full`, and the signal's reason. */
  fetch(wanted: {
    key: string
    /** Another one for other bytes under the same key. */
    version: string
    sizeBytes: number
    workDir: string
    /** Writes the object to a path. The signal is aborted when nobody waits for it any more. */
    download: (path: string, signal: AbortSignal) => Promise<void>
    signal?: AbortSignal | undefined
  }): Promise<string>
  /** Removes the copies of an object that was deleted. */
  forget(key: string): Promise<void>
  /** Removes what is old or too much, and what killed processes left. */
  tidy(): Promise<void>
}

const UNFINISHED = '.unfinished'
const LOCK = '.lock'
const HOUR_MS = 3_600_000
/** Unused for so long, a copy goes. */
const KEPT_MS = HOUR_MS
const LONGEST_DOWNLOAD_MS = 24 * HOUR_MS
const BEAT_MS = 5000
/** A lock without a beat for so long is a dead process's. */
const STALE_MS = 30_000
const POLL_MS = 200

export function localCache(needs: { folder: string; limitBytes: number }): LocalCache {
  const { folder, limitBytes } = needs
  const once = sharedWork()

  /** Removes copies that nobody uses, longest unused first, until so many bytes more would fit. */
  async function makeRoom(bytes: number): Promise<void> {
    const copies = await copiesIn(folder)
    let total = copies.reduce((sum, { sizeBytes }) => sum + sizeBytes, bytes)
    for (const { path, sizeBytes, usedAt, isUsed } of copies) {
      const isOld = Date.now() - usedAt > KEPT_MS
      if (isUsed || (!isOld && total <= limitBytes)) continue
      await rm(path, { force: true })
      total -= sizeBytes
    }
  }

  return {
    async fetch({ key, version, sizeBytes, workDir, download, signal }) {
      const name = `${hashOf(key)}-${hashOf(version)}${extname(key)}`
      const [kept, target] = [join(folder, name), join(workDir, name)]
      await mkdir(folder, { recursive: true })
      while (!(await nameAgain(kept, target))) {
        await once(name, signal, async (givenUp) => {
          await underLock(`${kept}${LOCK}`, async () => {
            if (await exists(kept)) return
            await makeRoom(sizeBytes)
            const unfinished = `${kept}.${newId()}${UNFINISHED}`
            try {
              await download(unfinished, givenUp)
              await assertWhole(unfinished, sizeBytes)
              // First for who asked: what is too large to be kept may be gone at once.
              if (!signal?.aborted) await nameAgain(unfinished, target)
              await rename(unfinished, kept)
            } catch (error) {
              throw asDiskFull(error)
            } finally {
              await rm(unfinished, { force: true })
            }
          })
        })
      }
      return target
    },

    async forget(key) {
      const names = await readdir(folder).catch(() => [])
      const ours = names.filter((name) => name.startsWith(`${hashOf(key)}-`) && isCopy(name))
      for (const name of ours) await rm(join(folder, name), { force: true })
    },

    async tidy() {
      await removeLeftovers(folder)
      await makeRoom(0)
    },
  }
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}

const isCopy = (name: string): boolean => !name.endsWith(UNFINISHED) && !name.endsWith(LOCK)

interface Copy {
  path: string
  sizeBytes: number
  usedAt: number
  isUsed: boolean
}

/** Longest unused first. */
async function copiesIn(folder: string): Promise<Copy[]> {
  const copies: Copy[] = []
  for (const name of (await readdir(folder).catch(() => [])).filter(isCopy)) {
    const path = join(folder, name)
    const found = await stat(path).catch(() => null)
    if (!found) continue
    // Another name means that it is in some step's folder: removing it would free nothing.
    copies.push({ path, sizeBytes: found.size, usedAt: found.mtimeMs, isUsed: found.nlink > 1 })
  }
  return copies.sort((one, other) => one.usedAt - other.usedAt)
}

async function removeLeftovers(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => [])
  for (const name of names.filter((each) => !isCopy(each))) {
    const path = join(folder, name)
    const found = await stat(path).catch(() => null)
    if (found && Date.now() - found.mtimeMs > LONGEST_DOWNLOAD_MS) await rm(path, { force: true })
  }
}

/** A second name for the bytes, or a copy where the file system has no such thing. False if they are not there. */
async function nameAgain(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to).catch(async (error: unknown) => {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EXDEV' || code === 'EPERM' || code === 'ENOTSUP' || code === 'EMLINK') {
        return await copyFile(from, to, constants.COPYFILE_FICLONE)
      }
      if (code !== 'EEXIST') throw error
    })
    const now = new Date()
    await utimes(from, now, now).catch(() => {})
    return true
  } catch (error) {
    if (await exists(from)) throw asDiskFull(error)
    return false
  }
}

/**
 * Does the work, or waits while another process does the same. A lock that was taken for dead by mistake costs a second
 * download and nothing else: whole files are moved into place.
 */
async function underLock(path: string, work: () => Promise<void>): Promise<void> {
  if (!(await tookLock(path))) {
    const found = await stat(path).catch(() => null)
    if (found && Date.now() - found.mtimeMs > STALE_MS) await rm(path, { force: true })
    else await sleep(POLL_MS)
    return
  }
  const beat = setInterval(() => {
    const now = new Date()
    utimes(path, now, now).catch(() => {})
  }, BEAT_MS)
  try {
    await work()
  } finally {
    clearInterval(beat)
    await rm(path, { force: true })
  }
}

async function tookLock(path: string): Promise<boolean> {
  try {
    const handle = await open(path, 'wx')
    await handle.close()
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw asDiskFull(error)
  }
}

/** What is moved into place must be there after a loss of power as well, or not at all. */
async function assertWhole(path: string, sizeBytes: number): Promise<void> {
  const handle = await open(path, 'r+')
  try {
    await handle.datasync()
    const { size } = await handle.stat()
    if (size === sizeBytes) return
    throw new AppError('unavailable', `${size} bytes of ${sizeBytes} arrived.`)
  } finally {
    await handle.close()
  }
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null
}

function asDiskFull(cause: unknown): unknown {
  const { code } = cause as NodeJS.ErrnoException
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return cause
  return new AppError('disk_full', 'The disk is full: free some space, then try again.', { cause })
}
