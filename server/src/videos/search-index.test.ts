import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS } from '../../../test/harness/app.ts'
import { startDatabases, type Databases } from '../../../test/harness/database.ts'
import { addVideos } from '../../../test/videos/many-videos.ts'
import type { Database } from '../db/database.ts'
import { migrate } from '../db/migrate.ts'
import { createSearchIndex } from './search-index.ts'

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

  async function findNewest(db: Database, ...prefixes: string[]): Promise<number[] | null> {
    const index = createSearchIndex({ db, engine: backend })
    return await index.newestFound({ prefixes }, { after: null, limit: 20 })
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
})
