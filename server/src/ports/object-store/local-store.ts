import { constants } from 'node:fs'
import {
  access,
  copyFile,
  link,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  rmdir,
  stat,
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
      const found = key.startsWith(prefix) && !isUnfinished(key) ? await statOf(path) : null
      if (found) yield { key, ...found }
    }
  }

  return {
    async putFile(key, path) {
      const target = pathOf(key)
      await translated(async () => {
        await mkdir(dirname(target), { recursive: true })
        await syncFile(path)
        await placeFile(path, target)
        await syncFolder(dirname(target))
      })
    },

    find,

    async read(key, range) {
      const handle = await open(pathOf(key)).catch((cause: unknown) => {
        throw isMissing(cause) ? new AppError('not_found', `no object ${key}`, { cause }) : cause
      })
      return handle.createReadStream({ ...range, highWaterMark: 256 * 1024 })
    },

    async asLocalFile(key) {
      if (!(await find(key))) throw new AppError('not_found', `no object ${key}`)
      return pathOf(key)
    },

    async delete(key) {
      await rm(pathOf(key), { force: true })
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

/** A second name for the same bytes where the file system can, else a copy; in one step either way. */
async function placeFile(from: string, to: string): Promise<void> {
  const unfinished = `${to}.${newId()}${UNFINISHED}`
  try {
    await link(from, unfinished).catch(() => copyWhole(from, unfinished))
    await rename(unfinished, to)
  } finally {
    await rm(unfinished, { force: true })
  }
}

async function copyWhole(from: string, to: string): Promise<void> {
  await copyFile(from, to, constants.COPYFILE_FICLONE)
  await syncFile(to)
}

/** Bytes that are on the disk survive a loss of power, not only of the process. */
async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r+')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
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
  return code === 'ENOENT' || code === 'ENOTDIR'
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
    throw cause
  }
}
