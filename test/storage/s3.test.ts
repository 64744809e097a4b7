import { readFile } from 'node:fs/promises'
import type { AdminVideo, Playback } from '@videoflix/contract'
import { ListObjectsV2Command } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startApp, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import { hasS3, startS3, type S3 } from '../harness/s3.ts'
import { film } from '../films.ts'
import {
  adminVideo,
  aForm,
  allDone,
  aReadyVideo,
  aTitle,
  filesIn,
  postForm,
  replaceSource,
  until,
  upload,
} from '../videos/library.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

describe.skipIf(!hasS3)('media in an S3 bucket', () => {
  let s3: S3
  let app: TestApp
  let superuser: Client
  let video: AdminVideo
  beforeAll(async () => {
    s3 = await startS3()
    app = await startApp({ media: s3 })
    superuser = await app.superuser()
    video = await aReadyVideo(app, superuser)
  })
  afterAll(async () => {
    await app.stop()
    await s3.stop()
  })

  const filmUrl = (): string => video.video_file ?? ''
  const statusOf = async (url: string, init: RequestInit = {}): Promise<number> => {
    const reply = await fetch(url, init)
    await reply.arrayBuffer()
    return reply.status
  }

  async function objects(prefix = ''): Promise<string[]> {
    const Bucket = app.settings.s3?.bucket
    const { Contents = [] } = await s3.client.send(
      new ListObjectsV2Command({ Bucket, Prefix: prefix }),
    )
    return Contents.map(({ Key = '' }) => Key)
  }

  async function playbackOf(id: number): Promise<Playback> {
    return (await (await superuser.get(`/content/${id}/playback/`)).json()) as Playback
  }

  const textOf = async (url: string): Promise<string> => {
    const reply = await fetch(url)
    expect([url, reply.status]).toEqual([url, 200])
    return await reply.text()
  }

  test('goes there, and nothing of it stays here', async () => {
    const keys = await objects()
    expect(keys.filter((key) => !/^(originals|media\/videos)\//.test(key))).toEqual([])
    expect(keys.some((key) => key.endsWith('/120p.mp4'))).toBe(true)
    const { uploads, media, originalsDir, intermediatesDir, tasks } = app.settings
    for (const folder of [uploads.dir, media.root, originalsDir, intermediatesDir, tasks.workDir]) {
      expect([folder, await filesIn(folder)]).toEqual([folder, []])
    }
  })

  test('plays from there, by exact ranges', async () => {
    expect(filmUrl()).toMatch(new RegExp(`^${s3.endpoint}/`))
    const whole = Buffer.from(await (await fetch(filmUrl())).arrayBuffer())
    const reply = await fetch(filmUrl(), { headers: { range: 'bytes=100-199' } })
    expect(reply.status).toBe(206)
    expect(reply.headers.get('content-type')).toBe('video/mp4')
    expect(reply.headers.get('content-range')).toBe(`bytes 100-199/${whole.length}`)
    expect(reply.headers.get('cache-control')).toContain('private')
    expect(Buffer.from(await reply.arrayBuffer())).toEqual(whole.subarray(100, 200))
  })

  test.each<[string, (size: number) => [number, number]]>([
    ['bytes=0-0', () => [0, 0]],
    ['bytes=100-', (size) => [100, size - 1]],
    ['bytes=-7', (size) => [size - 7, size - 1]],
    ['bytes=5-99999999', (size) => [5, size - 1]],
  ])('plays %s', async (range, expected) => {
    const whole = Buffer.from(await (await fetch(filmUrl())).arrayBuffer())
    const [start, end] = expected(whole.length)
    const reply = await fetch(filmUrl(), { headers: { range } })
    expect(reply.status).toBe(206)
    expect(reply.headers.get('content-range')).toBe(`bytes ${start}-${end}/${whole.length}`)
    expect(Buffer.from(await reply.arrayBuffer())).toEqual(whole.subarray(start, end + 1))
  })

  test('has no bytes after its end', async () => {
    expect(await statusOf(filmUrl(), { headers: { range: 'bytes=99999999-' } })).toBe(416)
  })

  test('has posters', async () => {
    const reply = await fetch(video.image_file ?? '')
    expect(reply.headers.get('content-type')).toBe('image/jpeg')
    expect(Buffer.from(await reply.arrayBuffer()).readUInt16BE(0)).toBe(0xffd8)
  })

  test('is not served by this server as well', async () => {
    const key = new URL(filmUrl()).pathname.replace(/^\/[^/]+\/media\//, '')
    const { search } = new URL(filmUrl())
    expect(await statusOf(`${app.origin}/media/${key}${search}`)).toBe(404)
  })

  test('has URLs that repeat for a while, and then are others', async () => {
    const urlNow = async (): Promise<string> => {
      // Sessions end while the clock is moved.
      const reply = await (await app.superuser()).get(`/content/video-url/${video.id}/`)
      expect(reply.status).toBe(200)
      return ((await reply.json()) as { url: string }).url
    }
    const urls = new Set<string>()
    for (let minutes = 0; minutes < 60; minutes += 5) {
      urls.add(await urlNow())
      app.clock.advance(5 * MINUTE)
    }
    app.clock.advance(-HOUR)
    expect(urls.size).toBeLessThanOrEqual(5)
    expect(urls.size).toBeGreaterThan(1)
  })

  describe('is private', () => {
    test('without a signature', async () => {
      expect(await statusOf(filmUrl().split('?')[0] ?? '')).toBe(403)
      expect(await statusOf(`${s3.endpoint}/${app.settings.s3?.bucket}/`)).toBe(403)
    })

    test('originals too, which no URL leads to', async () => {
      const [original = ''] = await objects('originals/')
      const { endpoint, bucket } = app.settings.s3!
      expect(await statusOf(`${endpoint}/${bucket}/${original}`)).toBe(403)
      expect(await statusOf(filmUrl().replace(/\/media\/[^?]+/, `/${original}`))).toBe(403)
    })

    test.each<[string, (url: string) => string]>([
      ['another object', (url) => url.replace(/\d+p\.mp4/, 'poster.jpg')],
      ['another type', (url) => url.replace('video%2Fmp4', 'text%2Fhtml')],
      ['a longer life', (url) => url.replace(/(?<=X-Amz-Date=)2\d{7}/, '29990101')],
      [
        'another signature',
        (url) => url.replace(/(?<=X-Amz-Signature=)./, (c) => (c === '0' ? '1' : '0')),
      ],
      ['one parameter more', (url) => `${url}&response-content-disposition=attachment`],
    ])('with a URL that was changed to %s', async (_name, change) => {
      expect(change(filmUrl())).not.toBe(filmUrl())
      expect(await statusOf(change(filmUrl()))).toBe(403)
    })

    test('when the URL has expired', async () => {
      const key = (await objects('media/')).find((each) => each.endsWith('.mp4')) ?? ''
      const until = (seconds: number): string =>
        app.app.bucket!.urls.urlUntil(
          key.slice('media/'.length),
          Math.ceil(Date.now() / 1000) + seconds,
        )
      expect(await statusOf(until(60))).toBe(200)
      expect(await statusOf(until(-2))).toBe(403)
    })

    test('and a URL is for reading only', async () => {
      expect(await statusOf(filmUrl(), { method: 'PUT', body: 'x' })).toBe(403)
      expect(await statusOf(filmUrl(), { method: 'DELETE' })).toBe(403)
    })
  })

  test('HLS: one URL a rung, with byte ranges in it', async () => {
    const { hls_url } = await playbackOf(video.id)
    const master = await textOf(hls_url)
    const playlists = [...master.matchAll(/^https?:.*m3u8.*$/gm)].map(([url]) => url)
    expect(playlists.length).toBeGreaterThan(0)
    for (const playlist of playlists) {
      const text = await textOf(playlist)
      const urls = new Set(text.match(/https?:[^"\n]+/g))
      expect(urls.size).toBe(1)
      const [url = ''] = urls
      expect(url).toContain('X-Amz-Signature=')
      for (const [, length, start] of text.matchAll(/BYTERANGE[:=]"?(\d+)@(\d+)/g)) {
        const end = Number(start) + Number(length) - 1
        const reply = await fetch(url, { headers: { range: `bytes=${start}-${end}` } })
        expect((await reply.arrayBuffer()).byteLength).toBe(Number(length))
      }
    }
  })

  test('DASH: the same URLs', async () => {
    const { dash_url } = await playbackOf(video.id)
    const urls = [...(await textOf(dash_url)).matchAll(/<BaseURL>([^<]+)</g)].map(([, url = '']) =>
      url.replaceAll('&amp;', '&'),
    )
    expect(urls.length).toBeGreaterThan(0)
    for (const url of urls) expect(await statusOf(url)).toBe(200)
  })

  test('the storyboard’s sheets', async () => {
    const { storyboard_url } = await playbackOf(video.id)
    const sheets = new Set((await textOf(storyboard_url ?? '')).match(/https?:[^#\n]+/g))
    expect(sheets.size).toBeGreaterThan(0)
    for (const url of sheets) expect(await statusOf(url)).toBe(200)
  })

  test('subtitles', async () => {
    const body = new FormData()
    body.append('file', new Blob(['1\n00:00:00,100 --> 00:00:02,000\nHello\n']), 'film.en.srt')
    body.append('language', 'en')
    const path = `/admin/api/videos/${video.id}/subtitles/`
    expect((await superuser.request(path, { method: 'POST', body })).status).toBe(201)
    const { subtitles } = await playbackOf(video.id)
    const reply = await fetch(subtitles[0]?.url ?? '')
    expect(reply.headers.get('content-type')).toBe('text/vtt; charset=utf-8')
    expect(await reply.text()).toMatch(/^WEBVTT[^]+Hello/)
  })

  test('pages of other origins may read it when they are allowed to', async () => {
    const preflight = async (origin: string): Promise<string | null> => {
      const headers = {
        origin,
        'access-control-request-method': 'GET',
        'access-control-request-headers': 'range',
      }
      const reply = await fetch(filmUrl(), { method: 'OPTIONS', headers })
      return reply.ok ? reply.headers.get('access-control-allow-origin') : null
    }
    expect(await preflight('https://films.example.com')).toBeNull()
    await app.app.bucket!.allowOrigins(['https://films.example.com'])
    expect(await preflight('https://films.example.com')).toBe('https://films.example.com')
    expect(await preflight('https://other.example.com')).toBeNull()
    const headers = { origin: 'https://films.example.com', range: 'bytes=0-9' }
    const reply = await fetch(filmUrl(), { headers })
    expect((await reply.arrayBuffer()).byteLength).toBe(10)
    expect(reply.headers.get('access-control-allow-origin')).toBe('https://films.example.com')
    expect(reply.headers.get('access-control-expose-headers')).toContain('Content-Range')
  })

  test('can be checked from outside', async () => {
    await expect(app.app.bucket!.checkDelivery()).resolves.toBeUndefined()
    for (const store of [app.app.originals, app.app.intermediates, app.app.media]) {
      await expect(store.check()).resolves.toBeUndefined()
    }
    expect((await objects()).filter((key) => key.includes('check'))).toEqual([])
  })

  test('a replacement takes over, and what it replaced goes', async () => {
    const before = await aReadyVideo(app, superuser)
    const old = await objects(`media/videos/${before.id}/`)
    expect(old.length).toBeGreaterThan(0)
    const originals = await objects('originals/')
    await replaceSource(superuser, before.id, await film('h264 mp4'))
    expect(await statusOf(before.video_file ?? '')).toBe(200)
    await allDone(app)
    const after = await adminVideo(superuser, before.id)
    expect(after.video_file).not.toBe(before.video_file)
    expect(await statusOf(after.video_file ?? '')).toBe(200)
    const now = await objects(`media/videos/${before.id}/`)
    expect(now.filter((key) => old.includes(key))).toEqual([])
    expect(await statusOf(before.video_file ?? '')).toBe(404)
    expect(await objects('originals/')).toHaveLength(originals.length)
  })

  test('a deleted video leaves no object', async () => {
    const before = await objects()
    const { id } = await aReadyVideo(app, superuser)
    expect((await objects()).length).toBeGreaterThan(before.length)
    expect((await superuser.delete(`/admin/api/videos/${id}/`)).status).toBe(204)
    await allDone(app)
    expect(await objects()).toEqual(before)
  })

  test('a bucket that is away for a while fails no video', { timeout: 120_000 }, async () => {
    const { id } = await upload(superuser, { path: await film('h264 mp4') })
    await s3.goAway()
    try {
      const isWaiting = async (): Promise<boolean> => {
        const { source } = await adminVideo(superuser, id)
        return source?.steps.some(({ error }) => error?.code === 'unavailable') ?? false
      }
      await until(isWaiting, 'a step says that S3 is away')
      expect((await superuser.get('/content/')).status).toBe(200)
      const form = await aForm({ title: aTitle() }, await film('half a second'))
      expect((await postForm(superuser, form)).status).toBe(503)
    } finally {
      await s3.comeBack()
    }
    expect((await adminVideo(superuser, id)).processing_state).toBe('processing')
    app.clock.advance(MINUTE)
    const isReady = async (): Promise<boolean> =>
      (await adminVideo(superuser, id)).processing_state === 'ready'
    await until(isReady, 'the video is ready')
    app.clock.advance(-MINUTE)
  })

  test('what the admin page loads from the bucket is what its policy allows', async () => {
    const policy = (await fetch(`${app.origin}/admin/`)).headers.get('content-security-policy')
    for (const directive of ['img-src', 'media-src', 'connect-src']) {
      expect(policy).toMatch(new RegExp(`${directive} [^;]*${s3.endpoint}`))
    }
  })

  test('the original arrives unchanged', async () => {
    const source = await app.app.db
      .selectFrom('sources')
      .select('object_key')
      .where('video_id', '=', video.id)
      .executeTakeFirstOrThrow()
    const path = await app.app.originals.asLocalFile(source.object_key, app.settings.dataDir)
    expect((await readFile(path)).equals(await readFile(await film('half a second')))).toBe(true)
  })
})
