import { createHash } from 'node:crypto'
import { setImmediate as breathe } from 'node:timers/promises'
import { sql } from 'kysely'
import type { Database } from '../db/database.ts'
import type { Place } from './shown-videos.ts'

/**
 * What is where in the list and when it was changed, without its rows: one index has it all. In slices, because SQLite
 * answers within our own thread.
 */
interface Version extends Place {
  /** Each change that the catalogue shows is one here. As the database writes it. */
  updatedAt: string
}

const SLICE = 2000

async function* listVersions(db: Database): AsyncGenerator<Version[]> {
  for (let last: Place | undefined; ;) {
    const slice: Version[] = await db
      .selectFrom('videos')
      .select('id')
      .select(sql<string>`cast(created_at as text)`.as('createdAt'))
      .select(sql<string>`cast(updated_at as text)`.as('updatedAt'))
      .$if(last !== undefined, (query) =>
        query.where(sql<boolean>`(created_at, id) < (${last?.createdAt}, ${last?.id})`),
      )
      .orderBy('created_at', 'desc')
      .orderBy('id', 'desc')
      .limit(SLICE)
      .execute()
    yield slice
    last = slice.at(-1)
    if (slice.length < SLICE) return
    await breathe()
  }
}

/** When each video was changed last, by id. */
export async function listChangeTimes(db: Database): Promise<Map<number, string>> {
  const times = new Map<number, string>()
  for await (const slice of listVersions(db)) {
    for (const { id, updatedAt } of slice) times.set(id, updatedAt)
  }
  return times
}

/** A stretch of the list, newest first. */
export interface Stretch {
  newest: Place
  oldest: Place
  count: number
  /**
   * Differs when anything that the catalogue shows of it has changed. Not the latest time alone: servers' clocks differ,
   * and a change by a slower one would go unseen.
   */
  version: string
}

const AVERAGE = 128
const LONGEST = 4 * AVERAGE

/**
 * The whole list in stretches. They end where an id says so, not after a number of videos: one more or one less
 * changes its own stretch and no other, and all servers cut alike.
 */
export async function listStretches(db: Database): Promise<Stretch[]> {
  const stretches: Stretch[] = []
  let open: Version[] = []
  const cut = (): void => {
    if (open.length > 0) stretches.push(toStretch(open))
    open = []
  }
  for await (const slice of listVersions(db)) {
    for (const version of slice) {
      open.push(version)
      if (version.id % AVERAGE === 0 || open.length === LONGEST) cut()
    }
  }
  cut()
  return stretches
}

function toStretch(versions: Version[]): Stretch {
  const [newest, oldest] = [versions[0], versions.at(-1)]
  if (!newest || !oldest) throw new Error('a stretch of nothing')
  const hash = createHash('sha256')
  hash.update(versions.map(({ id, updatedAt }) => `${id} ${updatedAt}\n`).join(''))
  return { newest, oldest, count: versions.length, version: hash.digest('base64url') }
}

export function versionOf(stretches: Stretch[], ...more: string[]): string {
  const hash = createHash('sha256')
  for (const { version } of stretches) hash.update(version)
  for (const each of more) hash.update(` ${each}`)
  return hash.digest('base64url').slice(0, 27)
}
