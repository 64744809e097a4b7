import { realpath, stat } from 'node:fs/promises'
import { basename, isAbsolute, join, relative, resolve } from 'node:path'
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

/** Nothing outside of the root is taken, whatever a row or a symbolic link says. */
async function fileWithin(root: string, path: string): Promise<string | null> {
  if (path.includes('\0')) return null
  try {
    const whole = await realpath(isAbsolute(path) ? resolve(path) : join(root, path))
    const way = relative(await realpath(root), whole)
    const isWithin = way !== '' && !way.startsWith('..') && !isAbsolute(way)
    const found = await stat(whole)
    return isWithin && found.isFile() && found.size > 0 ? whole : null
  } catch {
    return null
  }
}
