import type { Video } from '@videoflix/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import { addVideos } from './many-videos.ts'

const PAGE = '/content/?limit=10'

const FILMS = [
  { title: 'Ärger in Köln', description: 'ÜBERALL Straße', category: 'Crime' },
  { title: 'Ålesund og Tromsø', category: 'Documentary' },
  { title: "O'Brien & the under_score", description: '100% sure', category: 'Comedy' },
  { title: '大東京物語', category: 'Drama' },
  { title: 'Ωδή στους ΑΓΓΕΛΟΥΣ', category: 'Musical' },
  { title: 'A film of the sea', description: 'Lighthouses, and the sea.', category: 'Drama' },
  { title: 'Category Drama', category: 'Other' },
]

describe.each(BACKENDS)('pages of the catalogue, on %s', (backend) => {
  let app: TestApp
  let viewer: Client
  beforeAll(async () => {
    app = await startApp({ backend, env: { CORS_ALLOWED_ORIGINS: 'http://localhost:4200' } })
    viewer = await app.viewer()
    const plain = Array.from({ length: 34 }, (_, at) => ({ title: `Plain ${at}` }))
    await addVideos(app.app.db, [...plain, ...FILMS])
  })
  afterAll(() => app.stop())

  async function page(
    path: string,
  ): Promise<{ titles: string[]; ids: number[]; next: string | null }> {
    const reply = await viewer.get(path)
    expect([path, reply.status]).toEqual([path, 200])
    const videos = (await reply.json()) as Video[]
    const link = reply.headers.get('link')
    const next = link === null ? null : (/^<([^>]+)>; rel="next"$/.exec(link)?.[1] ?? 'no link')
    return { titles: videos.map(({ title }) => title), ids: videos.map(({ id }) => id), next }
  }

  async function allPages(path: string, between?: (page: number) => Promise<void>) {
    const seen: number[] = []
    for (let [at, number]: [string | null, number] = [path, 0]; at !== null; number += 1) {
      const { ids, next } = await page(at)
      seen.push(...ids)
      await between?.(number)
      at = next
    }
    return seen
  }

  const found = async (search: string): Promise<string[]> =>
    (await page(`/content/?search=${encodeURIComponent(search)}`)).titles

  test('pages lead to each other and hold what the whole list holds, in its order', async () => {
    const whole = (await (await viewer.get('/content/')).json()) as Video[]
    expect(await allPages(PAGE)).toEqual(whole.map(({ id }) => id))
    expect(await allPages('/content/?limit=100')).toEqual(whole.map(({ id }) => id))
    const [first] = (await (await viewer.get('/content/?limit=1')).json()) as Video[]
    expect(first).toEqual(whole[0])
  })

  test('other parameters are ignored, and lead to the whole list', async () => {
    const { ids, next } = await page('/content/?page=2&limits=3')
    expect([ids.length, next]).toEqual([34 + FILMS.length, null])
  })

  test('what comes and goes meanwhile neither repeats nor hides others', async () => {
    const before = await allPages(PAGE)
    const gone = before[8] ?? 0
    const seen = await allPages(PAGE, async (number) => {
      if (number > 0) return
      await addVideos(app.app.db, [{ title: 'Newest', createdAt: new Date() }])
      await app.app.db.deleteFrom('videos').where('id', '=', gone).execute()
    })
    expect(seen).toEqual(before)
    await app.app.db.deleteFrom('videos').where('title', '=', 'Newest').execute()
  })

  test('the next page keeps search, category and size', async () => {
    const { next } = await page('/content/?limit=1&category=Drama&search=a&x=1')
    expect(next).toBeNull()
    const first = await page('/content/?limit=1&category=Drama')
    const query = new URL(first.next ?? '').searchParams
    expect(first.next?.startsWith(`${app.origin}/content/?`)).toBe(true)
    expect([query.get('limit'), query.get('category')]).toEqual(['1', 'Drama'])
    const second = await page(first.next ?? '')
    expect([first.titles, second.titles]).toEqual([['A film of the sea'], ['大東京物語']])
    expect(second.next).toBeNull()
  })

  test('the web client’s origin may read where the next page is', async () => {
    const reply = await viewer.get(PAGE, { headers: { origin: 'http://localhost:4200' } })
    expect(reply.headers.get('access-control-expose-headers')).toBe('link')
    const other = await viewer.get(PAGE, { headers: { origin: 'http://evil.example' } })
    expect(other.headers.get('access-control-expose-headers')).toBeNull()
  })

  test('a known page is not sent again', async () => {
    const etag = (await viewer.get(PAGE)).headers.get('etag') ?? ''
    const again = await viewer.get(PAGE, { headers: { 'if-none-match': etag } })
    expect([again.status, again.headers.get('link')]).toEqual([304, expect.any(String)])
  })

  test.each([
    ['sea', ['A film of the sea']],
    ['SE lighth', ['A film of the sea']],
    ['lighthouses film', ['A film of the sea']],
    ['lighthouses köln', []],
    ['arger', ['Ärger in Köln']],
    ['A\u0308RGER', ['Ärger in Köln']],
    ['uberall', ['Ärger in Köln']],
    ['strasse', ['Ärger in Köln']],
    ['STRAẞE', ['Ärger in Köln']],
    ['alesund tromso', ['Ålesund og Tromsø']],
    ['東京', ['大東京物語']],
    ['αγγελους', ['Ωδή στους ΑΓΓΕΛΟΥΣ']],
    ['o’brien', ["O'Brien & the under_score"]],
    ['score', ["O'Brien & the under_score"]],
    ['100%', ["O'Brien & the under_score"]],
    ['ｓｅａ', ['A film of the sea']],
    ['ea', []],
    ['drama', ['Category Drama']],
    ['plain nothing', []],
  ])('a search for %s', async (search, expected) => {
    expect(await found(search)).toEqual(expected)
  })

  test('a search is never a language of its own', async () => {
    expect(await found('sea NOT lighthouses')).toEqual([])
    for (const plain of ['^sea', '-sea', 'sea*', '"sea', "sea'", 'sea:*', '!sea', 'sea & film']) {
      expect([plain, await found(plain)]).toEqual([plain, ['A film of the sea']])
    }
    const hostile = ['sea OR köln', 'NEAR(sea film)', 'title:sea', "'; drop table videos; --"]
    for (const nothing of [...hostile, '\\', '%', '_', '()', '🎬', '\u{E000}other']) {
      expect([nothing, await found(nothing)]).toEqual([nothing, []])
    }
  })

  test('who pastes a whole sentence finds its film', async () => {
    await addVideos(app.app.db, [
      { title: 'A', description: 'One two three four five six seven eight nine ten eleven twelve' },
    ])
    expect(await found('twelve eleven ten nine eight seven six five four three two one')).toEqual([
      'A',
    ])
  })

  test('whoever writes a title, it is found at once, and the old one no more', async () => {
    const { db } = app.app
    const [id = 0] = await addVideos(db, [{ title: 'Caterpillar' }])
    expect(await found('caterpillar')).toEqual(['Caterpillar'])
    await db.updateTable('videos').set({ title: 'Butterfly' }).where('id', '=', id).execute()
    expect([await found('caterpillar'), await found('butterfly')]).toEqual([[], ['Butterfly']])
    await db.deleteFrom('videos').where('id', '=', id).execute()
    expect(await found('butterfly')).toEqual([])
    const words = await db
      .selectFrom('video_words')
      .select('video_id')
      .where('video_id', '=', id)
      .execute()
    expect(words).toEqual([])
  })

  test.each([
    ['limit=0', 'limit'],
    ['limit=101', 'limit'],
    ['limit=', 'limit'],
    ['limit=1.5', 'limit'],
    ['limit=1&limit=2', 'limit'],
    ['category=Cats', 'category'],
    ['category=', 'category'],
    ['cursor=', 'cursor'],
    ['cursor=abc', 'cursor'],
    ['cursor=!', 'cursor'],
    [`cursor=${Buffer.from('1 -1').toString('base64url')}`, 'cursor'],
    [`cursor=${'a'.repeat(1000)}`, 'cursor'],
    ['search=%00', 'search'],
    [`search=${'x'.repeat(201)}`, 'search'],
    ['search=%ED%A0%80x&search=1', 'search'],
  ])('%s is refused by name', async (query, field) => {
    const reply = await viewer.get(`/content/?${query}`)
    expect([reply.status, await reply.json()]).toEqual([400, { [field]: [expect.any(String)] }])
  })

  test('strangers get no page', async () => {
    expect((await app.client().get(PAGE)).status).toBe(401)
  })
})
