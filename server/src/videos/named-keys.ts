import type { Database } from '../db/database.ts'

/** Of these sources, those whose steps may still store objects. Read before `namedAmong`: what they finish meanwhile has a name. */
export async function unfinishedAmong(db: Database, sourceIds: number[]): Promise<Set<number>> {
  const rows = await db
    .selectFrom('sources')
    .select('id')
    .where('id', 'in', [-1, ...sourceIds])
    .where('state', 'in', ['pending', 'processing'])
    .execute()
  return new Set(rows.map(({ id }) => id))
}

/** Of these keys of media, those that rows name; `sourceIds` are the sources among them. */
export async function namedAmong(
  db: Database,
  keys: string[],
  sourceIds: number[],
): Promise<Set<string | null>> {
  const named = new Set<string | null>()
  if (keys.length === 0) return named
  for (const table of ['renditions', 'audio_tracks', 'subtitles'] as const) {
    const rows = await db
      .selectFrom(table)
      .select('object_key')
      .where('object_key', 'in', keys)
      .execute()
    for (const row of rows) named.add(row.object_key)
  }
  const stills = await db
    .selectFrom('sources')
    .select(['poster_key', 'storyboard'])
    .where((eb) => eb.or([eb('id', 'in', [-1, ...sourceIds]), eb('poster_key', 'in', keys)]))
    .execute()
  for (const { poster_key: poster, storyboard } of stills) {
    for (const key of [poster, ...(storyboard?.sheets ?? [])]) named.add(key)
  }
  return named
}
