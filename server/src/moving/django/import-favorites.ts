import { readFile, rename, writeFile } from 'node:fs/promises'
import { z } from 'zod'
import type { Imported, ImportNeeds } from './import-users.ts'
import { legacyFavorite, type LegacyFavorite } from './legacy-rows.ts'

/**
 * Favourites of the users and videos that were taken over. One that was taken over before and removed here since does
 * not come back: `markFile` tells up to which row the last run came.
 */
export async function importFavorites(
  needs: ImportNeeds,
  { users, videos, markFile }: { users: Imported; videos: Imported; markFile: string },
): Promise<number> {
  const mark = await readMark(markFile)
  let [added, last] = [0, mark]
  const has = ({ known, added: fresh }: Imported, id: number): boolean =>
    known.has(id) || fresh.has(id)
  for await (const row of needs.legacy.rows('favorites')) {
    const { success, data: favorite } = legacyFavorite.safeParse(row)
    if (!success) continue
    last = Math.max(last, favorite.id)
    const { userprofile_id: userId, video_id: videoId } = favorite
    const isNew = favorite.id > mark || users.added.has(userId) || videos.added.has(videoId)
    if (!isNew || !has(users, userId) || !has(videos, videoId)) continue
    if (needs.isDryRun || (await insert(needs, favorite))) added += 1
  }
  if (!needs.isDryRun) await writeMark(markFile, last)
  return added
}

/** False where it was there, or its user or video went meanwhile. */
async function insert({ db, now }: ImportNeeds, favorite: LegacyFavorite): Promise<boolean> {
  const { userprofile_id: userId, video_id: videoId } = favorite
  const { numInsertedOrUpdatedRows: count } = await db
    .insertInto('favorites')
    .columns(['user_id', 'video_id', 'created_at'])
    .expression((eb) =>
      eb
        .selectFrom('users')
        .innerJoin('videos', (join) => join.onTrue())
        .select((select) => [
          'users.id as user_id',
          'videos.id as video_id',
          select.val(now).as('created_at'),
        ])
        .where('users.id', '=', userId)
        .where('videos.id', '=', videoId),
    )
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst()
  return (count ?? 0n) > 0n
}

const marks = z.object({ lastFavorite: z.int() })

async function readMark(file: string): Promise<number> {
  const text = await readFile(file, 'utf8').catch(() => null)
  return text === null ? 0 : marks.parse(JSON.parse(text)).lastFavorite
}

async function writeMark(file: string, lastFavorite: number): Promise<void> {
  await writeFile(`${file}.unfinished`, `${JSON.stringify({ lastFavorite })}\n`)
  await rename(`${file}.unfinished`, file)
}
