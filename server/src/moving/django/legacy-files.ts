import { realpath, stat } from 'node:fs/promises'
import { isAbsolute, join, relative, resolve } from 'node:path'

/** Where the original keeps its files, and below which path it serves them. */
export interface LegacyMedia {
  root: string
  /** `/media/` */
  url: string
}

/** A file of the original, by what a row says of it: a path below the root, an absolute one, or a URL. Null: not there. */
export async function findLegacyFile(media: LegacyMedia, told: unknown): Promise<string | null> {
  if (typeof told !== 'string' || told.trim() === '') return null
  for (const candidate of candidates(media, told.trim())) {
    const path = await fileWithin(media.root, candidate)
    if (path !== null) return path
  }
  return null
}

function candidates({ root, url }: LegacyMedia, told: string): string[] {
  const path = pathOf(told)
  const ways = new Set([path, path.replace(/^\/+/, '')])
  const below = path.indexOf(url)
  if (below >= 0) ways.add(path.slice(below + url.length))
  // As a container sees it: /app/media/videos/1.mp4.
  const folder = `/${root.split('/').at(-1)}/`
  const inContainer = path.indexOf(folder)
  if (inContainer >= 0) ways.add(path.slice(inContainer + folder.length))
  return [...ways].flatMap((way) => [way, decoded(way)])
}

function pathOf(told: string): string {
  return /^https?:\/\//i.test(told) && URL.canParse(told) ? new URL(told).pathname : told
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
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
