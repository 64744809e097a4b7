import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS, SUPERUSER, startApp, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'

describe.each(BACKENDS)('favourites, on %s', (backend) => {
  let app: TestApp
  /** Oldest first. */
  let videos: number[]
  beforeAll(async () => {
    app = await startApp({ backend })
    videos = []
    for (const title of ['first', 'second', 'third']) videos.push(await aVideo(title))
  })
  afterAll(() => app.stop())

  async function aVideo(title: string): Promise<number> {
    const now = new Date(app.clock.now().getTime() + videos.length)
    const { id } = await app.app.db
      .insertInto('videos')
      .values({
        title,
        description: '',
        category: 'Other',
        created_at: now,
        updated_at: now,
        published_source_id: null,
        source_id: null,
      })
      .returning('id')
      .executeTakeFirstOrThrow()
    return id
  }

  const toggle = async (client: Client, body: unknown) => {
    const reply = await client.post('/content/add-favorite/', body)
    return [reply.status, await reply.json()]
  }

  test('are toggled, and listed newest video first', async () => {
    const viewer = await app.viewer()
    const [first, second, third] = videos
    expect(await toggle(viewer, { video_id: second })).toEqual([200, [second]])
    expect(await toggle(viewer, { video_id: third })).toEqual([200, [third, second]])
    expect(await toggle(viewer, { video_id: String(first) })).toEqual([200, [third, second, first]])
    expect(await toggle(viewer, { video_id: second })).toEqual([200, [third, first]])
  })

  test('are each person’s own, and there at the next login', async () => {
    const viewer = await app.viewer()
    const superuser = await app.superuser()
    expect(await toggle(superuser, { video_id: videos[0] })).toEqual([200, [videos[0]]])
    expect(await toggle(viewer, { video_id: videos[1] })).toEqual([200, [videos[1]]])
    const login = await app.client().post('/users/login/', SUPERUSER)
    expect(await login.json()).toMatchObject({ favorite_videos: [videos[0]] })
  })

  test.each([
    [{}],
    [undefined],
    [{ video_id: null }],
    [{ video_id: 0 }],
    [{ video_id: '' }],
    [{ video_id: 1.5 }],
    [{ video_id: true }],
    [{ video_id: false }],
    [{ video_id: -1 }],
    [{ video_id: '-1' }],
    [{ video_id: '1.0' }],
    [{ video_id: '0x1' }],
    [{ video_id: ' 1' }],
    [{ video_id: '１' }],
    [{ video_id: '1\0' }],
    [{ video_id: [1] }],
    [{ video_id: { id: 1 } }],
    [{ video_id: 1e300 }],
    [{ video_id: '9'.repeat(100) }],
  ])('cannot be made of %j', async (body) => {
    expect(await toggle(await app.superuser(), body)).toEqual([
      400,
      { message: 'Video ID is required.' },
    ])
  })

  test('cannot be made of a video that is not there', async () => {
    const viewer = await app.viewer()
    for (const id of [999_999, '999999', 999_999_999_999_999]) {
      expect(await toggle(viewer, { video_id: id })).toEqual([404, { message: 'Video not found' }])
    }
  })

  test('end at their parity after a hundred toggles at once', async () => {
    const viewer = await app.viewer()
    const times = async (count: number) => {
      const all = Array.from({ length: count }, () => toggle(viewer, { video_id: videos[0] }))
      return (await Promise.all(all)).map(([status]) => status)
    }
    expect(new Set(await times(100))).toEqual(new Set([200]))
    expect(await toggle(viewer, { video_id: videos[1] })).toEqual([200, [videos[1]]])
    expect(new Set(await times(99))).toEqual(new Set([200]))
    expect(await toggle(viewer, { video_id: videos[1] })).toEqual([200, [videos[0]]])
  })

  test('cannot be made of a video that is being deleted', async () => {
    const viewer = await app.viewer()
    const doomed = await aVideo('being deleted')
    let isDone = false
    const toggled = await app.app.db.transaction().execute(async (trx) => {
      await trx.deleteFrom('videos').where('id', '=', doomed).execute()
      const toggling = toggle(viewer, { video_id: doomed }).finally(() => (isDone = true))
      await pause(300)
      expect(isDone).toBe(false)
      return { toggling }
    })
    expect(await toggled.toggling).toEqual([404, { message: 'Video not found' }])
  })

  test('of an account that was deleted a moment ago are a conflict', async () => {
    const viewer = await app.viewer()
    await toggle(viewer, { video_id: videos[0] })
    const { id } = await app.app.db
      .selectFrom('favorites')
      .innerJoin('users', 'users.id', 'favorites.user_id')
      .select('users.id')
      .orderBy('favorites.created_at', 'desc')
      .orderBy('users.id', 'desc')
      .executeTakeFirstOrThrow()
    // As another server would: this one believes in the session for a moment.
    await app.app.db.deleteFrom('users').where('id', '=', id).execute()
    const message = 'What this belongs to was deleted a moment ago. Load it again.'
    expect(await toggle(viewer, { video_id: videos[0] })).toEqual([409, { message }])
  })

  test('go with their video', async () => {
    const viewer = await app.viewer()
    const doomed = await aVideo('doomed')
    expect(await toggle(viewer, { video_id: doomed })).toEqual([200, [doomed]])
    await app.app.db.deleteFrom('videos').where('id', '=', doomed).execute()
    expect(await toggle(viewer, { video_id: videos[0] })).toEqual([200, [videos[0]]])
  })
})
