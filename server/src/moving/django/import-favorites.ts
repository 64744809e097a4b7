import type { Database } from '../../db/database.ts'
import { asJson } from '../../db/tables.ts'
import type { Imported, ImportNeeds } from './import-users.ts'
import { legacyFavorite, type LegacyFavorite } from './legacy-rows.ts'

/**
 * Favourites of the users and videos that were taken over. One that was taken over before and removed here since does
 * not come back: it is kept up to which row the last run came.
 */
export async function importFavorites(
  needs: ImportNeeds,
  { users, videos }: { users: Imported; videos: Imported },
): Promise<number> {
  const before = await readMark(needs.db)
  const mark: Mark = { last: before.last, leftOut: [] }
  const wasLeftOut = new Set(before.leftOut)
  let added = 0
  const has = ({ known, added: fresh }: Imported, id: number): boolean =>
    known.has(id) || fresh.has(id)
  for await (const row of needs.legacy.rows('favorites')) {
    const { success, data: favorite } = legacyFavorite.safeParse(row)
    if (!success) {
      needs.report.leftOut(
        `favourite ${String((row as { id: unknown }).id)}: the row cannot be read`,
      )
      continue
    }
    const { id, userprofile_id: userId, video_id: videoId } = favorite
    mark.last = Math.max(mark.last, id)
    if (!has(users, userId) || !has(videos, videoId)) {
      mark.leftOut.push(id)
      continue
    }
    const isFresh = users.added.has(userId) || videos.added.has(videoId)
    const isNew = id > before.last || wasLeftOut.has(id) || isFresh
    if (isNew && (needs.isDryRun || (await insert(needs, favorite)))) added += 1
  }
  if (mark.leftOut.length > 0) {
    const wait =
      mark.leftOut.length === 1 ? '1 favourite waits' : `${mark.leftOut.length} favourites wait`
    needs.report.notice(
      `${wait} for a user or a video that was left out: a run that brings these brings them as well`,
    )
  }
  if (!needs.isDryRun) await writeMark(needs.db, mark)
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

const NAME = 'django'

interface Mark {
  last: number
  /** A later run may bring their user or their video. */
  leftOut: number[]
}

async function readMark(db: Database): Promise<Mark> {
  const row = await db.selectFrom('imports').selectAll().where('name', '=', NAME).executeTakeFirst()
  return { last: row?.last_favorite ?? 0, leftOut: row?.left_out ?? [] }
}

async function writeMark(db: Database, { last, leftOut }: Mark): Promise<void> {
  const mark = { last_favorite: last, left_out: asJson(leftOut) }
  await db
    .insertInto('imports')
    .values({ name: NAME, ...mark })
    .onConflict((conflict) => conflict.column('name').doUpdateSet(mark))
    .execute()
}
