import { realpath, stat } from 'node:fs/promises'
import { basename, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { AppError } from '../../errors.ts'
import type { LegacyMedia } from './legacy-media.ts'
import { namesMeantBy } from './legacy-names.ts'

/** Files below a folder, which the original serves below the path `url`, such as `/media/`. */
export function openLegacyFolder({ root, url }: { root: string; url: string }): LegacyMedia {
  // As a container sees it: /app/media/videos/1.mp4.
  const starts = [url, `/${basename(root)}/`]
  return {
    async find(told) {
      if (typeof told !== 'string' || told.trim() === '') return null
      for (const name of namesMeantBy(told.trim(), starts)) {
        const path = await fileWithin(root, name)
        if (path !== null) return { name: basename(path), fetch: () => Promise.resolve(path) }
      }
      return null
    },
    isLocal: true,
    close: () => {},
  }
}

/**
 * Nothing outside of the root is taken, whatever a row or a symbolic link says. Null: not there, or empty. Throws
 * `conflict` for a link that leads out, and what the system says of what may not be read.
 */
async function fileWithin(root: string, path: string): Promise<string | null> {
  if (path.includes('\0')) return null
  const told = isAbsolute(path) ? resolve(path) : join(root, path)
  const isTold = isWithin(root, told)
  try {
    const [whole, wholeRoot] = await Promise.all([realpath(told), realpath(root)])
    if (!isTold && !isWithin(wholeRoot, whole)) return null
    if (!isWithin(wholeRoot, whole)) throw leadsOut(told)
    const found = await stat(whole)
    return found.isFile() && found.size > 0 ? whole : null
  } catch (error) {
    if (error instanceof AppError) throw error
    const isDenied = ['EACCES', 'EPERM', 'EIO'].includes(
      (error as NodeJS.ErrnoException).code ?? '',
    )
    if (isTold && isDenied) throw error
    return null
  }
}

function isWithin(root: string, path: string): boolean {
  const way = relative(root, path)
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}

function leadsOut(path: string): AppError {
  return new AppError(
    'conflict',
    `${path} leads out of the media root by a symbolic link, where nothing is read: put the file itself there, or a mount, and run this again`,
  )
}
