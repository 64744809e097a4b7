import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, open, readdir, readFile, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Readable } from 'node:stream'
import type { Settings } from '../config/settings.ts'
import { AppError } from '../errors.ts'

/** The folder where uploads grow until they are whole. File names in it are ours; clients' names never touch it. */
export interface Staging {
  pathOf(uploadId: string): string
  /** Throws `disk_full` when so many more bytes would leave less than MIN_FREE_DISK_BYTES. */
  assertRoomFor(sizeBytes: number): Promise<void>
  /** Writes a stream to a new file, to the disk, which is there until `remove`. On any error it is gone. Throws `disk_full`. */
  receive(uploadId: string, bytes: Readable): Promise<void>
  remove(uploadId: string): Promise<void>
  /** Removes what has not grown for UPLOAD_TTL, unless it is whole or `receive` writes or wrote it: that waits to become a video, however long. */
  removeAbandoned(now: Date): Promise<void>
}

export function createStaging(settings: Settings['uploads']): Staging {
  const pathOf = (uploadId: string): string => join(settings.dir, uploadId)
  /** What is being received, however slowly it comes or the disk takes it, and what was, for as long as it takes to be stored. */
  const inHands = new Set<string>()

  async function remove(uploadId: string): Promise<void> {
    inHands.delete(uploadId)
    await rm(pathOf(uploadId), { force: true })
    await rm(`${pathOf(uploadId)}.json`, { force: true })
  }

  return {
    pathOf,
    remove,

    async assertRoomFor(sizeBytes) {
      await mkdir(settings.dir, { recursive: true })
      const { bavail, bsize } = await statfs(settings.dir)
      if (bavail * bsize - sizeBytes < settings.minFreeDiskBytes) throw diskFull()
    },

    async receive(uploadId, bytes) {
      await mkdir(settings.dir, { recursive: true })
      const path = pathOf(uploadId)
      inHands.add(uploadId)
      try {
        await pipeline(bytes, createWriteStream(path, { flags: 'wx' }))
        await syncFile(path)
      } catch (error) {
        inHands.delete(uploadId)
        await rm(path, { force: true })
        throw asDiskFull(error)
      }
    },

    async removeAbandoned(now) {
      for (const name of await readdir(settings.dir).catch(() => [])) {
        if (inHands.has(name)) continue
        const path = join(settings.dir, name)
        if (await isAbandoned(path, now, settings.ttlMs)) await rm(path, { force: true })
      }
    },
  }
}

/** Whether a file of the staging folder is there, and of an upload that has not grown for so long and is not whole. */
export async function isAbandoned(path: string, now: Date, ttlMs: number): Promise<boolean> {
  const ageOf = async (file: string): Promise<number | null> => {
    const found = await stat(file).catch(() => null)
    return found && now.getTime() - found.mtimeMs
  }
  // The description of an upload is as young as its bytes, if it has any left.
  const bytes = path.endsWith('.json') ? path.slice(0, -5) : path
  const age = await ageOf(path)
  const isOld = age !== null && Math.min(age, (await ageOf(bytes)) ?? age) > ttlMs
  return isOld && !(await isWhole(bytes))
}

/** By what @tus/file-store wrote beside it. */
async function isWhole(bytes: string): Promise<boolean> {
  try {
    const { size } = JSON.parse(await readFile(`${bytes}.json`, 'utf8')) as { size?: number }
    return size !== undefined && size > 0 && (await stat(bytes)).size === size
  } catch {
    return false
  }
}

export async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r+')
  try {
    await handle.datasync()
  } finally {
    await handle.close()
  }
}

export async function sha256Of(bytes: Readable): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(bytes, hash)
  return hash.digest('hex')
}

function diskFull(): AppError {
  return new AppError(
    'disk_full',
    'The disk of the server is full: nothing is lost. Free some space, then go on.',
  )
}

export function asDiskFull(error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOSPC' || code === 'EDQUOT' ? diskFull() : error
}
