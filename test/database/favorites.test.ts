import { expect, test } from 'vitest'
import { databaseSettings } from '../../server/src/config/database-settings.ts'
import { openDatabase } from '../../server/src/db/database.ts'
import { ADMIN, signIn, startTwoServers } from '../attacks/servers.ts'
import type { Client } from '../harness/client.ts'
import { startPostgres } from '../harness/postgres.ts'
import { has } from '../harness/programs.ts'

test.skipIf(!has('postgres'))(
  'favourites end at their parity after a hundred toggles over two servers',
  async () => {
    await using postgres = await startPostgres()
    const env = { DATABASE_URL: await postgres.databaseUrl() }
    await using site = await startTwoServers('sqlite', env)
    await using db = await openDatabase(databaseSettings(env, ''))
    const now = new Date()
    const titles = ['toggled', 'other']
    const of = { description: '', category: 'Other', created_at: now, updated_at: now }
    const rows = titles.map((title) => ({
      ...of,
      title,
      source_id: null,
      published_source_id: null,
    }))
    const videos = await db.insertInto('videos').values(rows).returning('id').execute()
    const [toggled, other] = videos.map(({ id }) => id)

    const viewers = await Promise.all(site.servers.map(({ url }) => signIn(url, ADMIN)))
    const toggle = async (viewer: Client, id: number | undefined) => {
      const reply = await viewer.post('/content/add-favorite/', { video_id: id })
      return { status: reply.status, favorites: await reply.json() }
    }
    const toggles = async (count: number) => {
      const all = Array.from({ length: count }, (_, n) => toggle(viewers[n % 2]!, toggled))
      expect((await Promise.all(all)).filter(({ status }) => status !== 200)).toEqual([])
      const after = await db.selectFrom('favorites').select('video_id').execute()
      return after.map((row) => row.video_id)
    }
    expect(await toggles(100)).toEqual([])
    expect(await toggles(99)).toEqual([toggled])
    expect(await toggle(viewers[1]!, other)).toMatchObject({ status: 200 })
    expect(await toggles(101)).toEqual([other])
  },
)
