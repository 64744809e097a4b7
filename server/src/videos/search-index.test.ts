import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS } from '../../../test/harness/app.ts'
import { startDatabases, type Databases } from '../../../test/harness/database.ts'
import { addVideos } from '../../../test/videos/many-videos.ts'
import type { Database } from '../db/database.ts'
import { migrate } from '../db/migrate.ts'
import type { Cursor } from './cursor.ts'
import { createSearchIndex, type Wanted } from './search-index.ts'

describe.each(BACKENDS)('the search index, on %s', (backend) => {
  let databases: Databases
  beforeAll(async () => void (databases = await startDatabases(backend)))
  afterAll(() => databases.stop())

  async function find(db: Database, ...prefixes: string[]): Promise<number[]> {
    const index = createSearchIndex({ db, engine: backend })
    await index.catchUp()
    const found = index.found({ prefixes })
    const { rows } = await sql<{ video_id: number }>`${found} order by 1`.execute(db)
    return rows.map((row) => row.video_id)
  }

  test('has the videos that there were before it', async () => {
    const db = await databases.open(await databases.empty())
    await migrate(db, backend, '0007-single-tasks')
    const entries = Array.from({ length: 250 }, (_, at) => ({ title: `Old film ${at}` }))
    const ids = await addVideos(db, entries)
    expect(await migrate(db, backend, '0010-uploads-in-buckets')).toContain('0008-words-of-videos')
    expect(await find(db, 'old', 'fil')).toEqual(ids)
    await migrate(db, backend)
    const newest = await findNewest(db, 'old', 'fil')
    expect(newest).toEqual(ids.toReversed().slice(0, 20))
    expect(await find(db, '249')).toEqual(ids.slice(-1))
  })

  async function findNewest(db: Database, ...prefixes: string[]): Promise<number[]> {
    const index = createSearchIndex({ db, engine: backend })
    return await index.newest({ prefixes }, { after: null, limit: 20 })
  }

  test('takes in what changes while it takes in', async () => {
    const { db } = await databases.migrated()
    const ids = await addVideos(
      db,
      Array.from({ length: 300 }, (_, at) => ({ title: `Film ${at}` })),
    )
    const searches = Array.from({ length: 5 }, () => find(db, 'film'))
    await db.updateTable('videos').set({ description: 'changed' }).execute()
    for (const found of await Promise.all(searches)) expect(found).toEqual(ids)
    expect(await find(db, 'changed', 'film')).toEqual(ids)
  })

  test('has nothing of what was deleted, however much that was', async () => {
    const { db } = await databases.migrated()
    const ids = await addVideos(db, [{ title: 'One' }, { title: 'Two' }, { title: 'Three' }])
    expect(await find(db, 't')).toEqual(ids.slice(1))
    await db.deleteFrom('videos').execute()
    const again = await addVideos(db, [{ title: 'Two' }])
    expect(await find(db, 't')).toEqual(again)
  })

  describe('of many videos', () => {
    const MANY = 9000
    /** In which of them the words are, counted from the newest. */
    const WORDS: Record<string, (place: number) => boolean> = {
      everywhere: () => true,
      often: (place) => place % 40 === 0,
      seldom: (place) => place % 150 === 0,
      never: () => false,
      three: (place) => [5, 4000, 8990].includes(place),
      newest: (place) => place < 30,
      // So that there are many among the nearest, and few beyond.
      fading: (place) => place < 500 && place % 20 === 0,
      oldest: (place) => place > 8500,
    }
    let db: Database
    let ids: number[]
    beforeAll(async () => {
      db = (await databases.migrated()).db
      const entries = Array.from({ length: MANY }, (_, at) => {
        const words = Object.keys(WORDS).filter((word) => WORDS[word]?.(MANY - 1 - at))
        return { title: `${at} ${words.join(' ')}`, category: at % 2 ? 'Drama' : 'Other' }
      })
      ids = (await addVideos(db, entries)).toReversed()
    })

    test.each(Object.keys(WORDS))(
      'pages have all that have the word “%s”, in order',
      async (word) => {
        const places = Array.from({ length: MANY }, (_, place) => place).filter(WORDS[word]!)
        const expected = places.map((place) => ids[place])
        expect(await pagesOf({ prefixes: [word.slice(0, 5)] }, 60)).toEqual(expected)
        const odd = places.filter((place) => (MANY - 1 - place) % 2 === 1)
        const drama = { prefixes: [word], category: 'Drama' }
        expect(await pagesOf(drama, 2000)).toEqual(odd.map((place) => ids[place]))
        expect(await createSearchIndex({ db, engine: backend }).count(drama)).toBe(odd.length)
      },
    )

    async function pagesOf(wanted: Wanted, limit: number): Promise<number[]> {
      const index = createSearchIndex({ db, engine: backend })
      const found: number[] = []
      for (let after: Cursor | null = null; ;) {
        const page = await index.newest(wanted, { after, limit })
        found.push(...page)
        if (page.length < limit) return found
        after = await placeOf(page.at(-1) ?? 0)
      }
    }

    async function placeOf(id: number): Promise<Cursor> {
      const { created_at: createdAt } = await db
        .selectFrom('videos')
        .select('created_at')
        .where('id', '=', id)
        .executeTakeFirstOrThrow()
      return { createdAt, id }
    }
  })
})
