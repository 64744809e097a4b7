import { request as httpRequest, type IncomingMessage } from 'node:http'
import { once } from 'node:events'
import { gunzipSync } from 'node:zlib'
import type { AdminVideo, Video } from '@videoflix/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import { allDone, aReadyVideo, upload } from './library.ts'

const NOWHERE = [
  '999999',
  '0',
  '-1',
  '1.5',
  'abc',
  '1e3',
  '%20',
  '9'.repeat(15),
  '9'.repeat(40),
  '٣',
]

describe.each(BACKENDS)('the catalogue, on %s', (backend) => {
  let app: TestApp
  let superuser: Client
  let viewer: Client
  let ready: AdminVideo
  let broken: AdminVideo
  beforeAll(async () => {
    app = await startApp({ backend })
    superuser = await app.superuser()
    viewer = await app.viewer()
    ready = await aReadyVideo(app, superuser, {
      film: 'h264 mp4',
      title: 'A ready film',
      category: 'Drama',
    })
    broken = await upload(superuser, { bad: 'text', title: 'A broken one' })
    await allDone(app)
  })
  afterAll(() => app.stop())

  const list = async (): Promise<Video[]> =>
    (await (await viewer.get('/content/')).json()) as Video[]

  test('the list has what the client knows, newest first', async () => {
    const videos = await list()
    expect(videos.map(({ id }) => id)).toEqual([broken.id, ready.id])
    const signature = app.s3 ? 'X-Amz-Algorithm=' : 'expires=\\d+&signature=[\\w-]{43}$'
    const url = (name: string): unknown =>
      expect.stringMatching(
        new RegExp(`^${app.mediaUrl}videos/${ready.id}/[\\d-]+/${name}\\?${signature}`),
      )
    const { image_file } = videos[1] as Video
    expect(videos).toEqual([
      {
        id: broken.id,
        title: 'A broken one',
        description: '',
        category: 'Other',
        created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
        image_file: null,
        image_url: null,
        thumb_hash: null,
        video_file: null,
        converted_files: {},
        processing_state: 'error',
        processing_error: expect.any(String),
      },
      {
        id: ready.id,
        title: 'A ready film',
        description: '',
        category: 'Drama',
        created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
        image_file: url('poster.jpg'),
        image_url: image_file,
        thumb_hash: ready.thumb_hash,
        video_file: url('360p.mp4'),
        converted_files: { '120p': url('120p.mp4'), '360p': url('360p.mp4') },
        processing_state: 'ready',
        processing_error: null,
      },
    ])
  })

  test('one video is the same object as in the list', async () => {
    for (const video of await list()) {
      expect(await (await viewer.get(`/content/${video.id}/`)).json()).toEqual(video)
    }
    const queried = await viewer.get('/content/?page=7&nonsense=%00')
    expect(await queried.json()).toEqual(await list())
  })

  test.each(NOWHERE)('there is no video %j', async (id) => {
    const one = await viewer.get(`/content/${id}/`)
    expect([one.status, await one.json()]).toEqual([404, { detail: 'Not found.' }])
    const url = await viewer.get(`/content/video-url/${id}/`)
    expect([url.status, await url.json()]).toEqual([404, { detail: 'Video not found' }])
  })

  test('strangers get nothing', async () => {
    for (const path of ['/content/', `/content/${ready.id}/`, `/content/video-url/${ready.id}/`]) {
      const reply = await app.client().get(path)
      expect(reply.status).toBe(401)
      expect(await reply.json()).toEqual({
        detail: 'Authentication credentials were not provided.',
      })
    }
  })

  test('a known list is not sent again', async () => {
    const first = await viewer.get('/content/')
    const etag = first.headers.get('etag') ?? ''
    expect(etag).toMatch(/^"[\w-]+"$/)
    for (const known of [etag, `W/${etag}`, `"x", ${etag}`]) {
      const again = await viewer.get('/content/', { headers: { 'if-none-match': known } })
      expect(again.status).toBe(304)
      expect(await again.text()).toBe('')
    }
    const other = await viewer.get('/content/', { headers: { 'if-none-match': '"x"' } })
    expect(other.status).toBe(200)
    expect(other.headers.get('cache-control')).toBe('private, no-cache')
  })

  test('the list is compressed for who wants it', async () => {
    const plain = await plainly('identity')
    expect(plain.headers['content-encoding']).toBeUndefined()
    for (const accepted of ['gzip', 'br, gzip;q=0.5', 'gzip;q=0.1']) {
      const packed = await plainly(accepted)
      expect(packed.headers['content-encoding']).toBe('gzip')
      expect(gunzipSync(packed.body).equals(plain.body)).toBe(true)
      expect(packed.headers.etag).not.toBe(plain.headers.etag)
      expect(packed.headers.vary).toContain('Accept-Encoding')
    }
    expect((await plainly('gzip;q=0')).headers['content-encoding']).toBeUndefined()
  })

  test('a change is in the very next list', async () => {
    for (let round = 0; round < 20; round += 1) {
      const description = `Round ${round}`
      const readers = Array.from({ length: 3 }, () => list())
      await superuser.patch(`/admin/api/videos/${ready.id}/`, { description })
      expect((await list()).find(({ id }) => id === ready.id)?.description).toBe(description)
      await Promise.all(readers)
    }
    const { id } = await upload(superuser, { bad: 'text' })
    expect((await list())[0]?.id).toBe(id)
    await superuser.delete(`/admin/api/videos/${id}/`)
    expect((await list())[0]?.id).toBe(broken.id)
  })

  test('a change by another process is seen soon, whatever its clock says', async () => {
    const update = (description: string, updated_at: Date) =>
      app.app.db
        .updateTable('videos')
        .set({ description, updated_at })
        .where('id', '=', ready.id)
        .execute()
    await list()
    await update('By a slow clock', new Date(Date.now() - 3_600_000))
    app.clock.advance(6000)
    expect((await list())[1]?.description).toBe('By a slow clock')
  })

  test('each quality there is has its URL; above it comes the best, below it the worst', async () => {
    const fileFor = async (query: string): Promise<string> => {
      const reply = await viewer.get(`/content/video-url/${ready.id}/${query}`)
      expect(reply.status).toBe(200)
      const { url } = (await reply.json()) as { url: string }
      expect((await fetch(url)).headers.get('content-type')).toBe('video/mp4')
      return new URL(url).pathname.split('/').at(-1) ?? ''
    }
    expect(await fileFor('')).toBe('360p.mp4')
    expect(await fileFor('?quality=120p')).toBe('120p.mp4')
    expect(await fileFor('?quality=360p')).toBe('360p.mp4')
    expect(await fileFor('?quality=720p')).toBe('360p.mp4')
    expect(await fileFor('?quality=1080p')).toBe('360p.mp4')
    expect(await fileFor('?quality=1080p&quality=120p')).toBe('120p.mp4')
    expect(await fileFor('?other=1')).toBe('360p.mp4')
  })

  test.each(['4k', '720', '720P', '', 'source', '__proto__', '360p%00'])(
    'there is no quality %j',
    async (quality) => {
      const reply = await viewer.get(`/content/video-url/${ready.id}/?quality=${quality}`)
      expect(reply.status).toBe(404)
      expect(await reply.json()).toEqual({ detail: 'Requested quality not available' })
    },
  )

  test('a video that is not ready has no URL', async () => {
    const reply = await viewer.get(`/content/video-url/${broken.id}/?quality=360p`)
    expect(reply.status).toBe(404)
    expect(await reply.json()).toEqual({ detail: 'Requested quality not available' })
  })

  /** fetch unpacks by itself. */
  async function plainly(
    encoding: string,
  ): Promise<{ headers: IncomingMessage['headers']; body: Buffer }> {
    const cookie = [...viewer.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const headers = { cookie, 'accept-encoding': encoding }
    const request = httpRequest(`${app.origin}/content/`, { headers }).end()
    const [reply] = (await once(request, 'response')) as [IncomingMessage]
    const chunks: Buffer[] = []
    for await (const chunk of reply) chunks.push(chunk as Buffer)
    return { headers: reply.headers, body: Buffer.concat(chunks) }
  }
})
