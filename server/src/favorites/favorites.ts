import { transact, type Database } from '../db/database.ts'
import { AppError } from '../errors.ts'

/** A user's favourites in the order of the catalogue: newest video first. */
export async function listFavorites(db: Database, userId: number): Promise<number[]> {
  const rows = await db
    .selectFrom('favorites')
    .innerJoin('videos', 'videos.id', 'favorites.video_id')
    .select('videos.id')
    .where('favorites.user_id', '=', userId)
    .orderBy('videos.created_at', 'desc')
    .orderBy('videos.id', 'desc')
    .execute()
  return rows.map((row) => row.id)
}

/**
 * Adds a favourite, or removes it if it was there. The user's row is the lock, so that a hundred toggles at once leave
 * what a hundred in a row would. Throws `not_found`.
 */
export async function toggleFavorite(
  db: Database,
  userId: number,
  videoId: number,
  now: Date,
): Promise<void> {
  await transact(db, async (trx) => {
    await trx.selectFrom('users').select('id').where('id', '=', userId).forUpdate().execute()
    const video = await trx
      .selectFrom('videos')
      .select('id')
      .where('id', '=', videoId)
      // Who deletes it waits, or is waited for.
      .forKeyShare()
      .executeTakeFirst()
    if (!video) throw new AppError('not_found', 'Video not found')
    const { numDeletedRows } = await trx
      .deleteFrom('favorites')
      .where('user_id', '=', userId)
      .where('video_id', '=', videoId)
      .executeTakeFirst()
    if (numDeletedRows > 0n) return
    await trx
      .insertInto('favorites')
      .values({ user_id: userId, video_id: videoId, created_at: now })
      .execute()
  })
}
