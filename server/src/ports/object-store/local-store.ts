import { constants } from 'node:fs'
import {
  access,
  copyFile,
  link,
  mkdir,
  open,
  opendir,
  readdir,
  rename,
  rm,
  rmdir,
  stat,
  unlink,
} from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import { AppError } from '../../errors.ts'
import { newId } from '../ids.ts'
import { assertKey, type ObjectInfo, type ObjectStore } from './object-store.ts'

/** Objects as files below `root`, which is made when needed. */
export function localStore(root: string): ObjectStore {
  const pathOf = (key: string): string => {
    assertKey(key)
    return join(root, key)
  }

  async function find(key: string): Promise<ObjectInfo | null> {
    const found = await statOf(pathOf(key))
    return found && { key, ...found }
  }

  async function* list(prefix: string): AsyncIterable<ObjectInfo> {
    // Only the folder that the prefix names needs walking.
    const folder = join(root, prefix.slice(0, prefix.lastIndexOf('/') + 1))
    for await (const path of filesBelow(folder)) {
      const key = relative(root, path).split(sep).join('/')
      if (isUnfinished(key)) await removeIfLeft(path)
      const found = key.startsWith(prefix) && !isUnfinished(key) ? await statOf(path) : null
      if (found) yield { key, ...found }
    }
  }

  return {
    async putFile(key, path, signal) {
      const target = pathOf(key)
      signal?.throwIfAborted()
      await translated(async () => {
        await syncFile(path)
        await retriedWithoutFolder(async () => {
          const made = await mkdir(dirname(target), { recursive: true })
          await placeFile(path, target)
          await syncFolders(dirname(target), made === undefined ? dirname(target) : dirname(made))
        })
      })
    },

    find,

    async read(key, range) {
      if (!(await find(key))) throw new AppError('not_found', `no object ${key}`)
      const handle = await open(pathOf(key)).catch((cause: unknown) => {
        throw isMissing(cause) ? new AppError('not_found', `no object ${key}`, { cause }) : cause
      })
      return handle.createReadStream({ ...range, highWaterMark: 256 * 1024 })
    },

    async asLocalFile(key, _workDir, signal) {
      signal?.throwIfAborted()
      if (!(await find(key))) throw new AppError('not_found', `no object ${key}`)
      return pathOf(key)
    },

    async delete(key) {
      await unlink(pathOf(key)).catch((error: unknown) => {
        if (!isMissing(error)) throw error
      })
      await removeEmptyFolders(dirname(pathOf(key)), root)
    },

    list,

    async check() {
      try {
        await mkdir(root, { recursive: true })
        await access(root, constants.W_OK)
      } catch (cause) {
        throw new AppError(
          'misconfigured',
          `The folder ${root} cannot be written: change its owner, or set DATA_DIR or MEDIA_ROOT to another.`,
          { cause },
        )
      }
    },
  }
}

/** Beside its target until it is whole; never listed, never read. */
const UNFINISHED = '.unfinished'
const isUnfinished = (key: string): boolean => key.endsWith(UNFINISHED)

/** All that a killed process was about to place, however new: for a place that nobody writes to now. */
export async function removeUnfinished(root: string): Promise<void> {
  const entries = await opendir(root, { recursive: true }).catch(() => [])
  for await (const { name, parentPath } of entries) {
    if (isUnfinished(name)) await rm(join(parentPath, name), { force: true })
  }
}

const LONGEST_COPY_MS = 24 * 3_600_000

/** A killed process leaves what it was about to place. Its bytes may be old, its name is not (ctime). */
async function removeIfLeft(path: string): Promise<void> {
  const found = await stat(path).catch(() => null)
  if (found && Date.now() - found.ctimeMs > LONGEST_COPY_MS) await rm(path, { force: true })
}

/** Whoever deletes the last object of a folder takes the folder along, maybe between our making and our using it. */
async function retriedWithoutFolder(work: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work()
    } catch (error) {
      if (!isMissing(error) || attempt === 10) throw error
    }
  }
}

/** A second name for the same bytes where the file system can, else a copy; in one step either way. */
async function placeFile(from: string, to: string): Promise<void> {
  if (await isLinked(from, to)) return
  const unfinished = `${to}.${newId()}${UNFINISHED}`
  try {
    await link(from, unfinished).catch(() => copyWhole(from, unfinished))
    await rename(unfinished, to)
  } finally {
    await rm(unfinished, { force: true })
  }
}

/** Without anything that a killed process could leave: where nothing has the name yet, or the same bytes have it. */
async function isLinked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return false
    const [one, other] = await Promise.all([inodeOf(from), inodeOf(to)])
    return one !== null && one === other
  }
}

async function inodeOf(path: string): Promise<string | null> {
  const found = await stat(path, { bigint: true }).catch(() => null)
  return found && `${found.dev} ${found.ino}`
}

async function copyWhole(from: string, to: string): Promise<void> {
  await copyFile(from, to, constants.COPYFILE_FICLONE)
  await syncFile(to)
}

/** A file's bytes, or a folder's names: on the disk they survive a loss of power, not only of the process. */
async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** From the folder of a new name up to the one that has the topmost new folder in it. */
async function syncFolders(from: string, to: string): Promise<void> {
  for (let at = from; ; at = dirname(at)) {
    await syncFile(at)
    if (at === to || at === dirname(at)) return
  }
}

async function* filesBelow(folder: string): AsyncIterable<string> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    if (isMissing(error)) return []
    throw error
  })
  for (const entry of entries) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* filesBelow(path)
    else yield path
  }
}

async function removeEmptyFolders(folder: string, root: string): Promise<void> {
  for (let at = folder; at.startsWith(root + sep); at = dirname(at)) {
    try {
      await rmdir(at)
    } catch {
      return
    }
  }
}

async function statOf(path: string): Promise<{ sizeBytes: number; modifiedAt: Date } | null> {
  try {
    const found = await stat(path)
    return found.isFile() ? { sizeBytes: found.size, modifiedAt: found.mtime } : null
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR'
}

async function translated(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      throw new AppError('disk_full', 'The disk is full: free some space, then try again.', {
        cause,
      })
    }
    if (UNWILLING.has(code ?? '')) {
      const said = (cause as Error).message
      throw new AppError('unavailable', `The folder of media cannot be written: ${said}.`, {
        cause,
      })
    }
    throw cause
  }
}

const UNWILLING = new Set(['EACCES', 'EPERM', 'EROFS', 'EIO', 'ESTALE', 'EMFILE', 'ENFILE'])
