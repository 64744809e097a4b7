import { readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { MediaFailure } from './failure.ts'

export const POSTER_FILE = 'poster.jpg'

/**
 * Keeps the candidate with the most bytes as `poster.jpg` and removes the others. At one quality,
 * a JPEG's size tells how much there is to see: black frames, fades and blank cards lose.
 */
export async function keepBestPoster(workDir: string): Promise<void> {
  const names = (await readdir(workDir)).filter((name) => /^poster-\d+\.jpg$/.test(name)).sort()
  const sizes = await Promise.all(
    names.map(async (name) => ({ name, size: (await stat(join(workDir, name))).size })),
  )
  const best = sizes.reduce((a, b) => (b.size > a.size ? b : a), { name: '', size: 0 })
  if (best.size === 0) {
    const sentence =
      'No picture of the film could be decoded. Check that it plays, then upload it again.'
    throw new MediaFailure('undecodable', sentence)
  }
  await rename(join(workDir, best.name), join(workDir, POSTER_FILE))
  await Promise.all(
    names.filter((name) => name !== best.name).map((name) => rm(join(workDir, name))),
  )
}
