import type { Database } from '../db/database.ts'
import type { BucketUploadRow } from '../db/tables.ts'

/** The statements on the table `bucket_uploads`. */

export async function findBucketUpload(db: Database, id: string): Promise<BucketUploadRow | null> {
  const row = await db
    .selectFrom('bucket_uploads')
    .selectAll()
    .where('id', '=', id)
    .executeTakeFirst()
  return row ?? null
}

/** Tells how much is safe now. False when somebody else has gone on from the same offset, or it was ended. */
export async function advance(
  db: Database,
  { id, offset_bytes: before }: Pick<BucketUploadRow, 'id' | 'offset_bytes'>,
  after: Pick<BucketUploadRow, 'offset_bytes' | 'tail_key' | 'expires_at'>,
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('bucket_uploads')
    .set(after)
    .where('id', '=', id)
    .where('offset_bytes', '=', before)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

export async function takeBucketUpload(db: Database, id: string): Promise<BucketUploadRow | null> {
  const row = await db
    .deleteFrom('bucket_uploads')
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirst()
  return row ?? null
}

/** Takes the row, unless all of it is there: then it is about to be a video. */
export async function takeUnfinishedUpload(
  db: Database,
  id: string,
): Promise<BucketUploadRow | null> {
  const row = await db
    .deleteFrom('bucket_uploads')
    .where('id', '=', id)
    .whereRef('offset_bytes', '<', 'size_bytes')
    .returningAll()
    .executeTakeFirst()
  return row ?? null
}

/** Ids of those that are whole. */
export async function listWholeUploads(db: Database): Promise<string[]> {
  const rows = await db
    .selectFrom('bucket_uploads')
    .select('id')
    .whereRef('offset_bytes', '=', 'size_bytes')
    .execute()
  return rows.map(({ id }) => id)
}

/** Takes the row of one that has expired, if it still has: its client may have come back. */
export async function takeExpiredUpload(db: Database, now: Date): Promise<BucketUploadRow | null> {
  const row = await db
    .deleteFrom('bucket_uploads')
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('bucket_uploads')
        .select('id')
        .where('expires_at', '<=', now)
        .whereRef('offset_bytes', '<', 'size_bytes')
        .orderBy('expires_at')
        .limit(1),
    )
    .where('expires_at', '<=', now)
    .whereRef('offset_bytes', '<', 'size_bytes')
    .returningAll()
    .executeTakeFirst()
  return row ?? null
}
