import type { Database } from '../db/database.ts'
import { namedAmong } from '../videos/named-keys.ts'
import { sourceOfMedia } from '../videos/object-keys.ts'
import type { NamedObject } from './named-objects.ts'

/** Whether a row names the object, as rows are now. */
export async function isNamed(db: Database, { store, key }: NamedObject): Promise<boolean> {
  if (store === 'media') {
    const sourceId = sourceOfMedia(key)
    return (await namedAmong(db, [key], sourceId === null ? [] : [sourceId])).has(key)
  }
  const source = await db
    .selectFrom('sources')
    .select('id')
    .where('object_key', '=', key)
    .where('original_dropped_at', 'is', null)
    .executeTakeFirst()
  return source !== undefined
}
