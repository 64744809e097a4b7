import { readdir } from 'node:fs/promises'
import type { Database } from '../db/database.ts'

/** How many uploads have begun and are no videos yet, by the place in which they grow. */
export interface UploadsUnderWay {
  /** Resumable ones, in the folder of uploads. */
  inFolder: number
  /** Resumable ones, in parts of a bucket. */
  inBucket: number
  /** Those that browsers send to the bucket themselves. */
  straight: number
}

export async function countUploadsUnderWay(needs: {
  db: Database
  now: Date
  /** Of uploads. */
  dir: string
}): Promise<UploadsUnderWay> {
  const { db, now, dir } = needs
  const names = await readdir(dir).catch((): string[] => [])
  const { inBucket } = await db
    .selectFrom('bucket_uploads')
    .select((eb) => eb.fn.countAll().as('inBucket'))
    // One that is whole is about to be a video, however late it is.
    .where((eb) =>
      eb.or([eb('expires_at', '>', now), eb('offset_bytes', '=', eb.ref('size_bytes'))]),
    )
    .executeTakeFirstOrThrow()
  const { straight } = await db
    .selectFrom('direct_uploads')
    .select((eb) => eb.fn.countAll().as('straight'))
    .where('expires_at', '>', now)
    .where('id', 'not in', (eb) => eb.selectFrom('sources').select('upload_id'))
    .executeTakeFirstOrThrow()
  return {
    inFolder: names.filter((name) => name.endsWith('.json')).length,
    inBucket: Number(inBucket),
    straight: Number(straight),
  }
}
