import type { AdminVideo } from '@videoflix/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import { adminVideo, traces, upload } from './library.ts'

interface Page {
  count: number
  next: string | null
  previous: string | null
  results: AdminVideo[]
}

const TITLES = [
  ['100% sure', 'Comedy', ''],
  ['100 percent', 'Comedy', 'sure'],
  ['under_score', 'Drama', ''],
  ['underXscore', 'Drama', ''],
  ['back\\slash', 'Other', ''],
  ['Ärger in Köln', 'Crime', 'ÜBERALL'],
  ["O'Brien", 'Other', ''],
] as const

describe.each(BACKENDS)('videos in the administration, on %s', (backend) => {
  let app: TestApp
  let superuser: Client
  let ids: number[]
  beforeAll(async () => {
    app = await startApp({ backend })
    superuser = await app.superuser()
    await app.worker.drain()
    ids = []
    for (const [title, category, description] of TITLES) {
      const video = await upload(superuser, { bad: 'text', title, category, description })
      ids.push(video.id)
    }
  })
  afterAll(() => app.stop())

  const page = async (query: string): Promise<Page> => {
    const reply = await superuser.get(`/admin/api/videos/${query}`)
    expect([query, reply.status]).toEqual([query, 200])
    return (await reply.json()) as Page
  }
  const titles = async (query: string): Promise<string[]> =>
    (await page(query)).results.map(({ title }) => title)

  test('pages lead to each other and hold everything once', async () => {
    const seen: number[] = []
    let at: string | null = '?page_size=3&ordering=created_at'
    let previous: string | null = null
    while (at !== null) {
      const current: Page = await page(at)
      expect(current.count).toBe(TITLES.length)
      expect(current.previous === null).toBe(previous === null)
      seen.push(...current.results.map(({ id }) => id))
      expect(current.next ?? `${app.origin}/admin/api/videos/?`).toContain(
        `${app.origin}/admin/api/videos/?`,
      )
      previous = at
      at = current.next && new URL(current.next).search
    }
    expect(seen).toEqual(ids)
    expect(await page('?page=1000')).toMatchObject({
      count: TITLES.length,
      next: null,
      results: [],
    })
  })

  test('newest first, or as asked', async () => {
    const newest = TITLES.map(([title]) => title).toReversed()
    expect(await titles('')).toEqual(newest)
    expect(await titles('?ordering=-created_at')).toEqual(newest)
    expect(await titles('?ordering=created_at')).toEqual(newest.toReversed())
    const byTitle = await titles('?ordering=title')
    expect(await titles('?ordering=-title')).toEqual(byTitle.toReversed())
    expect(byTitle).not.toEqual(newest)
  })

  test.each([
    ['100%25', ['100 percent', '100% sure']],
    ['100', ['100 percent', '100% sure']],
    ['100 per', ['100 percent']],
    ['r_s', []],
    ['under_sc', ['under_score']],
    ['score', ['under_score']],
    ['k\\s', []],
    ['back\\sl', ['back\\slash']],
    ['SURE', ['100 percent', '100% sure']],
    ['O%27B', ["O'Brien"]],
    ['ärger', ['Ärger in Köln']],
    ['KÖLN', ['Ärger in Köln']],
    ['koln', ['Ärger in Köln']],
    ['überall', ['Ärger in Köln']],
    ['%25', []],
    ['nothing like it', []],
    ['%27%3B drop table videos', []],
  ])('a search for %s', async (search, expected) => {
    expect(await titles(`?search=${search}`)).toEqual(expected)
  })

  test('category and state filter, and go together', async () => {
    expect(await titles('?category=Drama')).toEqual(['underXscore', 'under_score'])
    expect(await titles('?category=Drama&search=score')).toEqual(['under_score'])
    expect(await titles('?category=Other&search=score')).toEqual([])
    expect(await titles('?state=pending&search=score')).toEqual(['under_score'])
    expect(await titles('?state=ready&search=score')).toEqual([])
    expect(await titles('?ordering=title&search=100')).toEqual(['100 percent', '100% sure'])
    expect((await page('?page_size=1&search=100')).count).toBe(2)
    expect(await titles('?page_size=1&page=2&search=100')).toEqual(['100% sure'])
    expect((await page('?state=pending')).count).toBe(TITLES.length)
    for (const state of ['processing', 'ready', 'error']) {
      expect((await page(`?state=${state}`)).count).toBe(0)
    }
  })

  test.each([
    ['page=0', 'page'],
    ['page=x', 'page'],
    ['page=1.5', 'page'],
    ['page=99999999999999999999', 'page'],
    ['page_size=0', 'page_size'],
    ['page_size=101', 'page_size'],
    ['category=Cats', 'category'],
    ['state=done', 'state'],
    ['ordering=id', 'ordering'],
    ['ordering=title%3Bdrop', 'ordering'],
    ['search=%00', 'search'],
    ['search=' + 'x'.repeat(201), 'search'],
    ['page=1&page=2', 'page'],
  ])('%s is refused by name', async (query, field) => {
    const reply = await superuser.get(`/admin/api/videos/?${query}`)
    expect([reply.status, await reply.json()]).toEqual([400, { [field]: [expect.any(String)] }])
  })

  test('title, description and category can be changed, and nothing else', async () => {
    const [id = 0] = ids
    const before = await adminVideo(superuser, id)
    const reply = await superuser.patch(`/admin/api/videos/${id}/`, {
      title: '  Changed ',
      description: 'New',
      category: 'Surreal',
      id: 77,
      created_at: '1970-01-01',
      published_source_id: 1,
      source_id: 1,
      processing_state: 'ready',
      __proto__: { title: 'x' },
    })
    expect(reply.status).toBe(200)
    const after = (await reply.json()) as AdminVideo
    expect(after).toEqual({
      ...before,
      title: 'Changed',
      description: 'New',
      category: 'Surreal',
      updated_at: after.updated_at,
    })
    expect(await adminVideo(superuser, id)).toEqual(after)
    expect((await superuser.patch(`/admin/api/videos/${id}/`, {})).status).toBe(200)
    await superuser.patch(`/admin/api/videos/${id}/`, { title: TITLES[0][0], category: 'Comedy' })
  })

  test.each<[object, object]>([
    [{ title: '' }, { title: ['This field may not be blank.'] }],
    [{ title: null }, { title: ['This field may not be null.'] }],
    [{ title: 5 }, { title: ['Not a valid string.'] }],
    [{ title: 'under_score' }, { title: ['Video with this title already exists.'] }],
    [{ title: 'a\0' }, { title: ['Null characters are not allowed.'] }],
    [{ category: 'Cats' }, { category: ['"Cats" is not a valid choice.'] }],
    [{ category: null }, { category: ['This field may not be null.'] }],
    [{ description: [] }, { description: ['Not a valid string.'] }],
  ])('%j is refused by field', async (changes, errors) => {
    const reply = await superuser.patch(`/admin/api/videos/${ids[0]}/`, changes)
    expect([reply.status, await reply.json()]).toEqual([400, errors])
    expect((await adminVideo(superuser, ids[0] ?? 0)).title).toBe(TITLES[0][0])
  })

  test.each(['999999', 'abc', '1.5', '9'.repeat(15), '9'.repeat(40)])(
    'there is no video %s to look at, change, delete, replace or retry',
    async (id) => {
      const path = `/admin/api/videos/${id}/`
      const replies = await Promise.all([
        superuser.get(path),
        superuser.patch(path, { title: 'x' }),
        superuser.delete(path),
        superuser.post(`${path}retry/`),
      ])
      for (const reply of replies) {
        expect([reply.status, await reply.json()]).toEqual([404, { detail: 'Not found.' }])
      }
    },
  )

  test('viewers and strangers can do none of it', async () => {
    const before = await traces(app)
    const viewer = await app.viewer()
    const path = `/admin/api/videos/${ids[0]}/`
    for (const [client, status] of [
      [viewer, 403],
      [app.client(), 401],
    ] as const) {
      const replies = await Promise.all([
        client.get('/admin/api/videos/'),
        client.get(path),
        client.patch(path, { title: 'Mine' }),
        client.delete(path),
        client.post(`${path}retry/`),
      ])
      for (const reply of replies) expect(reply.status).toBe(status)
    }
    expect(await traces(app)).toEqual(before)
  })
})
