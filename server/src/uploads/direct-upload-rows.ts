import type { Database, Transacting } from '../db/database.ts'
import type { DirectUploadRow } from '../db/tables.ts'

export async function insertDirectUpload(db: Database, row: DirectUploadRow): Promise<void> {
  await db.insertInto('direct_uploads').values(row).execute()
}

export async function findDirectUpload(
  db: Database,
  id: string,
): Promise<DirectUploadRow | undefined> {
  return await db.selectFrom('direct_uploads').selectAll().where('id', '=', id).executeTakeFirst()
}

/** Puts its end off, and says what it is now. */
export async function prolong(
  db: Database,
  id: string,
  expires_at: Date,
): Promise<DirectUploadRow | undefined> {
  const query = db.updateTable('direct_uploads').set({ expires_at }).where('id', '=', id)
  return await query.returningAll().executeTakeFirst()
}

/** In the transaction that makes it a video: from then on nobody aborts it. False when somebody has, or has made one. */
export async function seal(trx: Transacting, id: string, sealed_at: Date): Promise<boolean> {
  const open = trx.updateTable('direct_uploads').where('id', '=', id).where('sealed_at', 'is', null)
  const { numUpdatedRows } = await open.set({ sealed_at }).executeTakeFirst()
  return numUpdatedRows > 0n
}

/** Takes the row of an upload that is no video. */
export async function takeOpenUpload(
  db: Database,
  id: string,
): Promise<DirectUploadRow | undefined> {
  const query = db.deleteFrom('direct_uploads').where('id', '=', id).where('sealed_at', 'is', null)
  return await query.returningAll().executeTakeFirst()
}

/** Takes the row of one that has expired, if it still has: its client may have come back. */
export async function takeExpiredUpload(db: Database, now: Date): Promise<DirectUploadRow | null> {
  const query = db
    .deleteFrom('direct_uploads')
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('direct_uploads')
        .select('id')
        .where('expires_at', '<=', now)
        .orderBy('expires_at')
        .limit(1),
    )
  const row = await query.where('expires_at', '<=', now).returningAll().executeTakeFirst()
  return row ?? null
}
