import type { Database } from '../db/database.ts'

/**
 * The type of what is published under a key, or null for what is not; the database says, not the name or the bytes. Each
 * statement looks at one row, through an index; what is asked for most comes first.
 */
export async function findContentType(db: Database, key: string): Promise<string | null> {
  if (await isNamedBy(db, 'renditions', key)) return 'video/mp4'
  if (await isNamedBy(db, 'audio_tracks', key)) return 'audio/mp4'
  if (await isPoster(db, key)) return 'image/jpeg'
  if (await isNamedBy(db, 'subtitles', key)) return 'text/vtt; charset=utf-8'
  return (await isSheet(db, key)) ? 'image/jpeg' : null
}

async function isNamedBy(
  db: Database,
  table: 'renditions' | 'audio_tracks' | 'subtitles',
  key: string,
): Promise<boolean> {
  const query = db.selectFrom(table).select('id').where('object_key', '=', key)
  return (await query.executeTakeFirst()) !== undefined
}

async function isPoster(db: Database, key: string): Promise<boolean> {
  const query = db.selectFrom('sources').select('id').where('poster_key', '=', key)
  return (await query.executeTakeFirst()) !== undefined
}

/** `videos/<video>/<source>-<attempt>/…`: the key says in whose storyboard to look. */
const KEY = /^videos\/\d{1,15}\/(\d{1,15})-[^/]+\/[^/]+$/

async function isSheet(db: Database, key: string): Promise<boolean> {
  const [, sourceId] = KEY.exec(key) ?? []
  if (sourceId === undefined) return false
  const source = await db
    .selectFrom('sources')
    .select('storyboard')
    .where('id', '=', Number(sourceId))
    .executeTakeFirst()
  return source?.storyboard?.sheets.includes(key) ?? false
}
