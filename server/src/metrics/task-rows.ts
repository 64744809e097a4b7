import { sql } from 'kysely'
import type { Database } from '../db/database.ts'

export type TaskState = 'waiting' | 'due' | 'running'

export interface TaskGroup {
  kind: string
  state: TaskState
  count: number
  /** Since when the oldest of them is due. */
  dueSince: Date
}

/** The tasks that are still to be done. An index holds them, however many are kept that are done. */
export async function groupTasks(db: Database, now: Date): Promise<TaskGroup[]> {
  const state = sql<TaskState>`case
    when lease_until >= ${now} then 'running'
    when due_at <= ${now} then 'due'
    else 'waiting' end`
  const rows = await db
    .selectFrom('tasks')
    .select(['kind', state.as('state')])
    .select((eb) => [eb.fn.countAll().as('count'), eb.fn.min('due_at').as('due_since')])
    .where('finished_at', 'is', null)
    .groupBy(['kind', 'state'])
    .execute()
  return rows.map(({ kind, state, count, due_since: since }) => ({
    kind,
    state,
    count: Number(count),
    dueSince: new Date(since),
  }))
}

/** How many tasks of each kind were given up, as long as they are kept. */
export async function countFailed(db: Database): Promise<Map<string, number>> {
  const rows = await db
    .selectFrom('tasks')
    .select((eb) => ['kind', eb.fn.countAll().as('count')])
    .where('outcome', '=', 'failed')
    .groupBy('kind')
    .execute()
  return new Map(rows.map(({ kind, count }) => [kind, Number(count)]))
}

export interface StoredBytes {
  originals: number
  media: number
}

/** By what the rows say. Posters, storyboards and subtitles are small, and not counted. */
export async function sumStored(db: Database): Promise<StoredBytes> {
  const { originals, renditions, sounds } = await db
    .selectNoFrom((eb) => [
      eb
        .selectFrom('sources')
        .where('original_dropped_at', 'is', null)
        .select((sum) => sum.fn.sum('size_bytes').as('bytes'))
        .as('originals'),
      eb
        .selectFrom('renditions')
        .select((sum) => sum.fn.sum('size_bytes').as('bytes'))
        .as('renditions'),
      eb
        .selectFrom('audio_tracks')
        .select((sum) => sum.fn.sum('size_bytes').as('bytes'))
        .as('sounds'),
    ])
    .executeTakeFirstOrThrow()
  return { originals: Number(originals), media: Number(renditions) + Number(sounds) }
}
