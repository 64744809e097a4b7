import type { Playback } from '@videoflix/contract'
import { parse, type types } from 'hls-parser'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AUDIO, BOTH, VIDEO } from '../../server/src/media/playlists/films.fixture.ts'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import { expiryOf } from '../storage/expiry.ts'
import { aFilm, type InsertedFilm, type WantedFilm } from './film.ts'

const HOUR = 3_600_000
const PAGE = 'https://films.example.com'
const NOT_FOUND = { detail: 'Not found.' }
const NOT_AVAILABLE = { detail: 'Requested quality not available' }
const NOT_SIGNED_IN = { detail: 'Authentication credentials were not provided.' }
const EXPIRED = { detail: 'This link is not valid any more: ask for the video again.' }

const ONLY_AUDIO = { ...BOTH, video: null, initBoth: null }
const FILM: WantedFilm = {
  renditions: [
    { quality: '360p', width: 640, height: 360, fragments: BOTH },
    { quality: '720p', width: 1280, height: 720, fragments: BOTH },
  ],
  audio: [
    { language: 'eng', label: 'English' },
    { language: 'ger', label: 'Deutsch', channels: 6, fragments: ONLY_AUDIO },
  ],
  subtitles: [
    { language: 'fre', label: 'Français', text: 'WEBVTT\n\n00:01.000 --> 00:02.000\nBonjour\n' },
    { language: null, label: 'Signs', isForced: true, isUploaded: true },
  ],
  storyboard: {
    intervalMs: 2000,
    tileWidth: 160,
    tileHeight: 90,
    columns: 10,
    rows: 10,
    tiles: 3,
  },
  chapters: [{ startMs: 0, endMs: 4505, title: 'All' }],
}

describe.each(BACKENDS)('playback, on %s', (backend) => {
  let app: TestApp
  let viewer: Client
  let superuser: Client
  let film: InsertedFilm
  beforeAll(async () => {
    app = await startApp({ backend, env: { CORS_ALLOWED_ORIGINS: PAGE } })
    viewer = await app.viewer()
    superuser = await app.superuser()
    film = await aFilm(app, FILM)
  })
  afterAll(() => app.stop())

  const get = (url: string, headers: Record<string, string> = {}, method = 'GET') =>
    fetch(url, { headers, method, redirect: 'manual' })
  const textOf = async (url: string): Promise<string> => {
    const reply = await get(url)
    expect([url, reply.status]).toEqual([url, 200])
    return await reply.text()
  }
  const playbackOf = async (client: Client, id = film.videoId): Promise<Playback> =>
    (await (await client.get(`/content/${id}/playback/`)).json()) as Playback
  const masterUrl = async (client = viewer, id = film.videoId): Promise<string> =>
    (await playbackOf(client, id)).hls_url
  const parsedMaster = async (url: string): Promise<types.MasterPlaylist> =>
    parse(await textOf(url)) as types.MasterPlaylist
  /** Every URL that a playlist or a manifest names, once. */
  const urlsIn = (text: string): string[] => [
    ...new Set(
      [...text.matchAll(/https?:\/\/[^\s"<#]+/g)]
        .map(([url]) => url.replaceAll('&amp;', '&'))
        .filter((url) => url.startsWith(app.origin) || url.startsWith(app.mediaUrl)),
    ),
  ]

  test('a viewer learns what a player needs', async () => {
    const { hls_url, dash_url, storyboard_url, subtitles, ...rest } = await playbackOf(viewer)
    const base = `${app.origin}/content/${film.videoId}`
    expect(hls_url).toMatch(`${base}/master.m3u8?expires=`)
    expect(dash_url).toMatch(`${base}/manifest.mpd?expires=`)
    expect(storyboard_url).toMatch(`${base}/${film.sourceId}/storyboard.vtt?expires=`)
    expect(rest).toEqual({
      duration_ms: 4505,
      chapters: [{ start_ms: 0, end_ms: 4505, title: 'All' }],
      audio: [
        { language: 'en', label: 'English', channels: 2, is_default: true },
        { language: 'de', label: 'Deutsch', channels: 6, is_default: false },
      ],
    })
    const media = `${app.mediaUrl}${film.prefix}`
    expect(subtitles).toEqual([
      {
        id: film.subtitleIds[0],
        language: 'fr',
        label: 'Français',
        is_forced: false,
        url: expect.stringContaining(`${media}/subtitles-0.vtt?`),
      },
      {
        id: film.subtitleIds[1],
        language: null,
        label: 'Signs',
        is_forced: true,
        url: expect.stringContaining(`${media}/subtitles-1.vtt?`),
      },
    ])
  })

  test('from the master playlist on, everything is fetched without cookies', async () => {
    const master = await parsedMaster(await masterUrl())
    const variants = master.variants.filter((each) => !each.isIFrameOnly)
    expect(variants.map(({ resolution }) => resolution?.height)).toEqual([720, 360])
    const [best] = variants
    expect(best?.audio.map(({ language }) => language)).toEqual(['en', 'de'])
    expect(best?.subtitles.map(({ forced }) => forced)).toEqual([false, true])
    const playlists = urlsIn(await textOf(await masterUrl()))
    expect(playlists).toHaveLength(2 + 2 + 2 + 2)
    for (const url of playlists) {
      const playlist = parse(await textOf(url)) as types.MediaPlaylist
      expect(playlist).toMatchObject({ endlist: true, playlistType: 'VOD' })
      for (const object of urlsIn(await textOf(url))) expect((await get(object)).status).toBe(200)
    }
  })

  test('the main sound is taken from the worst rendition, others from files of their own', async () => {
    const text = await textOf(await masterUrl())
    const fileOf = async (name: string): Promise<string | undefined> => {
      const url = urlsIn(text).find((each) => each.includes(`/${name}.m3u8`))
      return urlsIn(await textOf(url ?? ''))[0]
        ?.split(/[/?]/)
        .find((part) => part.includes('.mp4'))
    }
    expect(await fileOf('audio-0')).toBe('360p.mp4')
    expect(await fileOf('audio-1')).toBe('audio-1.mp4')
    expect(await fileOf('video-720p')).toBe('720p.mp4')
  })

  test('a rendition plays by itself, with its sound', async () => {
    const { sourceId, videoId } = film
    const reply = await viewer.get(`/content/${videoId}/${sourceId}/360p.m3u8`)
    const playlist = parse(await reply.text()) as types.MediaPlaylist
    expect(playlist.segments.map(({ byterange }) => byterange?.length)).toEqual(
      VIDEO.lengths.map((length, index) => length + (AUDIO.lengths[index] ?? 0)),
    )
  })

  test('the manifest names each file once, and all of them open', async () => {
    const text = await textOf((await playbackOf(viewer)).dash_url)
    expect(text.match(/<BaseURL>/g)).toHaveLength(2 + 2 + 2)
    const objects = urlsIn(text)
    expect(objects.map((url) => url.split(/[/?]/).at(-2))).toEqual([
      ...['360p.mp4', '720p.mp4', 'audio-1.mp4', 'subtitles-0.vtt', 'subtitles-1.vtt'],
    ])
    for (const url of objects) expect((await get(url)).status).toBe(200)
  })

  test('the storyboard names its sheets', async () => {
    const text = await textOf((await playbackOf(viewer)).storyboard_url ?? '')
    expect(text).toMatch(/^WEBVTT\n/)
    const [sheet] = urlsIn(text)
    expect((await get(sheet ?? '')).headers.get('content-type')).toBe('image/jpeg')
  })

  test('types, and what caches and browsers may do', async () => {
    const { hls_url, dash_url, storyboard_url, subtitles } = await playbackOf(viewer)
    const typeOf = async (url: string | null | undefined): Promise<string | null> => {
      const { headers } = await get(url ?? '')
      expect(headers.get('cache-control')).toMatch(/^private/)
      return headers.get('content-type')
    }
    const audio = urlsIn(await textOf(dash_url)).find((url) => url.includes('audio-1.mp4'))
    expect(await typeOf(hls_url)).toBe('application/vnd.apple.mpegurl')
    expect(await typeOf(dash_url)).toBe('application/dash+xml')
    expect(await typeOf(storyboard_url)).toBe('text/vtt; charset=utf-8')
    expect(await typeOf(subtitles[0]?.url)).toBe('text/vtt; charset=utf-8')
    expect(await typeOf(audio)).toBe('audio/mp4')
    for (const url of urlsIn(await textOf(hls_url))) {
      expect(await typeOf(url)).toBe('application/vnd.apple.mpegurl')
    }
  })

  // S3 sends no such headers: there the signed type is all.
  test('what this server sends is never taken for anything else, on no page', async () => {
    const { hls_url, dash_url, storyboard_url } = await playbackOf(viewer)
    const all = [hls_url, dash_url, storyboard_url ?? '', ...urlsIn(await textOf(dash_url))]
    for (const url of all.filter((each) => each.startsWith(app.origin))) {
      const { headers } = await get(url)
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('cross-origin-resource-policy')).toBe('cross-origin')
    }
  })

  test('HEAD tells the same without the text', async () => {
    const url = await masterUrl()
    const plain = { 'accept-encoding': 'identity' }
    const [whole, head] = [await get(url, plain), await get(url, plain, 'HEAD')]
    expect(head.status).toBe(200)
    expect(await head.text()).toBe('')
    for (const name of ['content-type', 'content-length', 'cache-control', 'vary']) {
      expect([name, head.headers.get(name)]).toEqual([name, whole.headers.get(name)])
    }
    expect(Number(whole.headers.get('content-length'))).toBe((await whole.bytes()).length)
  })

  test('text is compressed for who takes it', async () => {
    const url = await masterUrl()
    const [packed, plain] = [
      await get(url, { 'accept-encoding': 'gzip' }),
      await get(url, { 'accept-encoding': 'gzip;q=0' }),
    ]
    expect(packed.headers.get('content-encoding')).toBe('gzip')
    expect(plain.headers.get('content-encoding')).toBeNull()
    expect(packed.headers.get('vary')).toBe('Origin, Accept-Encoding')
    expect(await packed.text()).toBe(await plain.text())
  })

  describe('who may', () => {
    const PATHS = ['master.m3u8', 'manifest.mpd', 'SOURCE/video-720p.m3u8', 'SOURCE/storyboard.vtt']
    const pathOf = (path: string, { videoId, sourceId } = film): string =>
      `/content/${videoId}/${path.replace('SOURCE', String(sourceId))}`

    test.each(PATHS)('%s: a viewer, and nobody without a signature', async (path) => {
      expect((await viewer.get(pathOf(path))).status).toBe(200)
      const reply = await app.client().get(pathOf(path))
      expect(reply.status).toBe(401)
      expect(await reply.json()).toEqual(NOT_SIGNED_IN)
      expect(reply.headers.get('www-authenticate')).toBe('Bearer realm="api"')
      const bearer = { authorization: 'Bearer nonsense' }
      expect((await app.client().get(pathOf(path), { headers: bearer })).status).toBe(401)
    })

    test('a signature that is not ours, whoever is signed in', async () => {
      const url = await masterUrl()
      const broken = [
        url.replace(/signature=./, (text) => (text.endsWith('A') ? 'signature=B' : 'signature=A')),
        url.replace('master.m3u8', 'manifest.mpd'),
        url.replace(`/${film.videoId}/`, `/${film.videoId + 1}/`),
        url.replace(/expires=\d/, 'expires=9'),
        url.replace('?', '?x=1&'),
        `${url}&x=1`,
        url.replace('/content/', '/content//'),
        url.replace('master', '%6daster'),
        url.replace(/signature=.*/, 'signature='),
        url.replace(/expires=\d+&/, ''),
      ]
      for (const each of broken) {
        for (const client of [app.client(), superuser]) {
          const reply = await client.get(each)
          expect([each, reply.status]).toEqual([each, 403])
          expect(await reply.json()).toEqual(EXPIRED)
        }
      }
    })

    test('a signature of a playlist opens no file, and one of a file no playlist', async () => {
      const playlist = new URL(await masterUrl())
      const [url = ''] = urlsIn(await textOf((await playbackOf(viewer)).dash_url))
      const file = new URL(url)
      const statusOf = async (place: URL, grant: URL): Promise<number> =>
        (await get(`${place.origin}${place.pathname}${grant.search}`)).status
      expect([await statusOf(playlist, playlist), await statusOf(file, file)]).toEqual([200, 200])
      // One without anything that we would call a signature is a request of a stranger.
      expect(await statusOf(playlist, file)).toBe(app.s3 ? 401 : 403)
      expect(await statusOf(file, playlist)).toBe(403)
    })

    test('a cookie that is no good does not spoil a signature', async () => {
      const headers = { cookie: 'vf_access=nonsense' }
      expect((await get(await masterUrl(), headers)).status).toBe(200)
    })

    test('nothing outlives the URL that it was made for', async () => {
      const { hls_url, dash_url } = await playbackOf(viewer)
      app.clock.advance(HOUR / 3)
      const master = await textOf(hls_url)
      const nested = urlsIn(master).map((url) => textOf(url))
      const inside = [master, await textOf(dash_url), ...(await Promise.all(nested))].flatMap(
        urlsIn,
      )
      expect(inside.length).toBeGreaterThan(10)
      expect(new Set(inside.map(expiryOf))).toEqual(new Set([expiryOf(hls_url)]))
      app.clock.advance(2 * HOUR)
      // S3 does not know the clock of this test: it ends URLs by what they say.
      const ours = inside.filter((url) => url.startsWith(app.origin))
      for (const url of [hls_url, dash_url, ...ours]) {
        const reply = await get(url)
        expect(reply.status).toBe(403)
        expect(await reply.json()).toEqual(EXPIRED)
      }
    })

    test('a session has a fresh expiry each time, as long as the film needs', async () => {
      viewer = await app.viewer()
      superuser = await app.superuser()
      const long = await aFilm(app, { ...FILM, durationMs: 3 * HOUR })
      const text = await (await viewer.get(`/content/${long.videoId}/master.m3u8`)).text()
      const leftMs = expiryOf(urlsIn(text)[0] ?? '') * 1000 - app.clock.now().getTime()
      expect(leftMs).toBeGreaterThanOrEqual(6.5 * HOUR)
    })
  })

  describe('what is not there', () => {
    test.each([
      'SOURCE/video-1080p.m3u8',
      'SOURCE/iframes-1080p.m3u8',
      'SOURCE/1080p.m3u8',
      'SOURCE/audio-2.m3u8',
      'SOURCE/subtitles-999999.m3u8',
      'SOURCE/nonsense.m3u8',
      'SOURCE/video-720p',
      'SOURCE/.m3u8',
      'x/video-720p.m3u8',
    ])('%s', async (path) => {
      const reply = await viewer.get(
        `/content/${film.videoId}/${path.replace('SOURCE', String(film.sourceId))}`,
      )
      expect(reply.status).toBe(404)
      expect(await reply.json()).toEqual(NOT_FOUND)
    })

    test('a video', async () => {
      for (const id of ['999999', 'nonsense', '0', '-1', '1.5']) {
        for (const path of ['master.m3u8', 'manifest.mpd', 'playback/', '1/storyboard.vtt']) {
          const reply = await viewer.get(`/content/${id}/${path}`)
          expect([id, path, reply.status]).toEqual([id, path, 404])
          expect(await reply.json()).toEqual(NOT_FOUND)
        }
      }
    })

    test('the source of another video', async () => {
      const other = await aFilm(app, FILM)
      const reply = await viewer.get(`/content/${film.videoId}/${other.sourceId}/video-720p.m3u8`)
      expect(reply.status).toBe(404)
      const subtitles = `/content/${film.videoId}/${film.sourceId}/subtitles-${other.subtitleIds[0]}.m3u8`
      expect((await viewer.get(subtitles)).status).toBe(404)
    })

    test('fragments, in what older versions made', async () => {
      const old = { quality: '360p', width: 640, height: 360, fragments: null }
      const { videoId } = await aFilm(app, { renditions: [old] })
      for (const path of ['master.m3u8', 'manifest.mpd', 'playback/']) {
        const reply = await viewer.get(`/content/${videoId}/${path}`)
        expect([reply.status, await reply.json()]).toEqual([404, NOT_AVAILABLE])
      }
      const auto = await viewer.get(`/content/video-url/${videoId}/?quality=auto`)
      expect([auto.status, await auto.json()]).toEqual([404, NOT_AVAILABLE])
      const [best] = FILM.renditions.slice(1)
      const mixed = await aFilm(app, { renditions: [old, ...(best ? [best] : [])] })
      const master = await parsedMaster(await masterUrl(viewer, mixed.videoId))
      expect(master.variants.map(({ resolution }) => resolution?.height)).toEqual([720, 720])
    })

    test('sound, subtitles and pictures for seeking', async () => {
      const silent = { ...BOTH, audio: null, initBoth: null }
      const { videoId, sourceId } = await aFilm(app, {
        renditions: [{ quality: '360p', width: 640, height: 360, fragments: silent }],
      })
      expect(await playbackOf(viewer, videoId)).toMatchObject({
        audio: [],
        subtitles: [],
        chapters: [],
        storyboard_url: null,
      })
      expect(await textOf(await masterUrl(viewer, videoId))).not.toContain('#EXT-X-MEDIA')
      const muxed = await viewer.get(`/content/${videoId}/${sourceId}/360p.m3u8`)
      expect((parse(await muxed.text()) as types.MediaPlaylist).segments).toHaveLength(3)
      expect((await viewer.get(`/content/${videoId}/${sourceId}/storyboard.vtt`)).status).toBe(404)
    })
  })

  test('`quality=auto` is the master playlist', async () => {
    const reply = await viewer.get(`/content/video-url/${film.videoId}/?quality=auto`)
    const { url } = (await reply.json()) as { url: string }
    expect(url).toMatch(`${app.origin}/content/${film.videoId}/master.m3u8?expires=`)
    expect((await parsedMaster(url)).variants.length).toBeGreaterThan(0)
    const unknown = await viewer.get('/content/video-url/999999/?quality=auto')
    expect([unknown.status, await unknown.json()]).toEqual([404, { detail: 'Video not found' }])
  })

  test('superusers see what is still being made, and whoever has a URL from them', async () => {
    const { videoId, sourceId } = await aFilm(app, { ...FILM, isPublished: false })
    for (const path of ['master.m3u8', 'manifest.mpd', 'playback/', `${sourceId}/720p.m3u8`]) {
      expect((await viewer.get(`/content/${videoId}/${path}`)).status).toBe(404)
      expect((await superuser.get(`/content/${videoId}/${path}`)).status).toBe(200)
    }
    const playlists = urlsIn(await textOf(await masterUrl(superuser, videoId)))
    expect(playlists).toHaveLength(8)
    for (const url of playlists) await textOf(url)
    const auto = await superuser.get(`/content/video-url/${videoId}/?quality=auto`)
    expect([auto.status, await auto.json()]).toEqual([404, NOT_AVAILABLE])
  })

  describe('a page of another origin', () => {
    const corsHeaders = ({ headers }: Response) =>
      Object.fromEntries([...headers].filter(([name]) => name.startsWith('access-control-')))
    const askedUrls = async (): Promise<string[]> => {
      const { hls_url, dash_url, storyboard_url } = await playbackOf(viewer)
      const [playlist = ''] = urlsIn(await textOf(hls_url))
      const [file = ''] = urlsIn(await textOf(dash_url))
      // A bucket has its own rules about other origins.
      return [hls_url, dash_url, storyboard_url ?? '', playlist, ...(app.s3 ? [] : [file])]
    }
    const ASKS = {
      'access-control-request-method': 'GET',
      'access-control-request-headers': 'range',
    }

    test('that is allowed may ask for parts and read what they are', async () => {
      for (const url of await askedUrls()) {
        const reply = await get(url, { origin: PAGE, range: 'bytes=0-1' })
        expect(corsHeaders(reply)).toEqual({
          'access-control-allow-origin': PAGE,
          'access-control-allow-credentials': 'true',
          'access-control-expose-headers': 'accept-ranges, content-length, content-range, etag',
        })
        const preflight = await get(url, { origin: PAGE, ...ASKS }, 'OPTIONS')
        expect(preflight.status).toBe(200)
        expect(preflight.headers.get('access-control-allow-headers')).toMatch(/, range$/)
      }
    })

    test('that is not gets no CORS header at all', async () => {
      for (const url of await askedUrls()) {
        const origin = 'https://evil.example'
        expect(corsHeaders(await get(url, { origin }))).toEqual({})
        expect(corsHeaders(await get(url, { origin, ...ASKS }, 'OPTIONS'))).toEqual({})
      }
    })

    test('may send and read no more than before elsewhere', async () => {
      for (const path of ['/content/', `/content/${film.videoId}/playback/`, '/users/login/']) {
        const reply = await get(`${app.origin}${path}`, { origin: PAGE, ...ASKS }, 'OPTIONS')
        expect(reply.headers.get('access-control-allow-headers')).not.toContain('range')
        expect(reply.headers.get('access-control-expose-headers')).toBeNull()
      }
    })
  })
})
