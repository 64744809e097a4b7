import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS } from '../../../../test/harness/app.ts'
import { startDatabases, type Databases } from '../../../../test/harness/database.ts'
import { addVideos } from '../../../../test/videos/many-videos.ts'
import type { Database } from '../../db/database.ts'
import { importFavorites } from './import-favorites.ts'

describe.each(BACKENDS)('favourites of the original, on %s', (backend) => {
  let databases: Databases
  beforeAll(async () => void (databases = await startDatabases(backend)))
  afterAll(() => databases.stop())

  const now = new Date('2026-06-19T12:00:00Z')

  async function addUser(db: Database, email: string): Promise<number> {
    const { id } = await db
      .insertInto('users')
      .values({ email, password_hash: '', is_active: true, is_superuser: false, created_at: now })
      .returning('id')
      .executeTakeFirstOrThrow()
    return id
  }

  test('of who is brought by a run that is cut off come with the next one', async () => {
    const { db } = await databases.migrated()
    const [videoId = 0] = await addVideos(db, [{ title: 'Film' }])
    const early = await addUser(db, 'early@example.com')
    const late = await addUser(db, 'late@example.com')
    const rows = [early, late].map((userprofile_id, at) => ({
      ...{ id: at + 1, userprofile_id, video_id: videoId },
    }))
    const legacy = {
      async *rows() {
        await Promise.resolve()
        yield* rows
      },
      close: () => Promise.resolve(),
    }
    const report = { progress() {}, notice() {}, leftOut() {} }
    const needs = { ...{ db, engine: backend, legacy, report, now }, isDryRun: false }
    const bring = (...known: number[]): Promise<number> =>
      importFavorites(needs, {
        users: { known: new Set(known), added: new Set() },
        videos: { known: new Set([videoId]), added: new Set() },
      })

    expect(await bring(early)).toBe(1)
    await db.deleteFrom('favorites').execute()
    expect(await bring(early)).toBe(0)
    expect(await bring(early, late)).toBe(1)
    expect(await bring(early, late)).toBe(0)
    expect(await db.selectFrom('favorites').select('user_id').execute()).toEqual([
      { user_id: late },
    ])
  })
})
