import type { Playback } from '@videoflix/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS, startApp } from '../harness/app.ts'
import { startChromium, type Chromium } from '../harness/chromium.ts'
import { startFirefox, type Firefox } from '../harness/firefox.ts'
import { has } from '../harness/programs.ts'
import { temporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts'
import { aFilm, type WantedFilm } from './film.ts'
import { aPackagedFilm, HEIGHTS, SECONDS } from './packaged-film.ts'
import { startPlayerSite } from './site.ts'

interface Urls {
  hls: string
  dash: string
  storyboard: string | null
  /** A media playlist with picture and sound in one, as a `data:` URL. */
  muxed: string
  /** One rendition, as a file. */
  file: string
}

/** What `players.js` must have seen. */
const TO_THE_END = {
  errors: [],
  duration: expect.closeTo(SECONDS, 0),
  endedAt: expect.closeTo(SECONDS, 0),
}
const EVERYTHING = {
  ...TO_THE_END,
  heights: HEIGHTS,
  widths: { 360: 640, 270: 480 },
  languages: expect.arrayContaining(['en', 'de']),
  subtitles: { startTime: 1, endTime: 9, text: 'Bonjour' },
}
/** URLs that lead to a bucket are all that differs there: one player that loads everything will do. */
const WITH_BUCKET = ['shaka-player hls']
/** From the storyboard: the second picture of each sheet. */
const THUMBNAILS = [
  { startTime: 2, x: 80, y: 0, sheetWidth: 240 },
  { startTime: 14, x: 80, y: 0, sheetWidth: 240 },
]

describe('on a page of another origin, without cookies', () => {
  let folder: TemporaryFolder
  let film: WantedFilm
  beforeAll(async () => {
    folder = await temporaryFolder()
    film = await aPackagedFilm(folder.path)
  })
  afterAll(() => folder.remove())

  describe.each(BACKENDS)('from a server on %s', (backend) => {
    const resources = new AsyncDisposableStack()
    let urls: Urls
    let site: string
    beforeAll(async () => {
      site = resources.use(await startPlayerSite()).origin
      const env = { CORS_ALLOWED_ORIGINS: site }
      const app = resources.use(await startApp({ backend, env }))
      await app.app.bucket?.allowOrigins([site])
      const { videoId, sourceId } = await aFilm(app, film)
      const viewer = await app.viewer()
      const told = await viewer.get(`/content/${videoId}/playback/`)
      const { hls_url, dash_url, storyboard_url } = (await told.json()) as Playback
      const file = await viewer.get(`/content/video-url/${videoId}/`)
      const { url } = (await file.json()) as { url: string }
      const playlist = await viewer.get(`/content/${videoId}/${sourceId}/360p.m3u8`)
      const muxed = `data:application/vnd.apple.mpegurl,${encodeURIComponent(await playlist.text())}`
      urls = { hls: hls_url, dash: dash_url, storyboard: storyboard_url, muxed, file: url }
    })
    afterAll(() => resources.disposeAsync())

    /** What a page does that has `players.js` in it. */
    const watching = (name: string): string =>
      `watch(${JSON.stringify(name)}, ${JSON.stringify(urls)})`

    const players = (...names: string[]): string[] =>
      names.filter((name) => backend === 'sqlite' || WITH_BUCKET.includes(name))

    describe.skipIf(!has('chromium'))('Chromium', () => {
      let chromium: Chromium
      beforeAll(async () => {
        chromium = await startChromium()
      })
      afterAll(() => chromium.stop())

      async function watch(name: string): Promise<unknown> {
        const tab = await chromium.context.newPage()
        await tab.goto(site)
        const seen: unknown = await tab.evaluate(watching(name))
        await tab.close()
        return seen
      }

      test.each(players('hls.js', 'video.js', 'dashjs'))(
        '%s plays, seeks, switches, ends',
        async (name) => {
          expect(await watch(name)).toMatchObject(EVERYTHING)
        },
      )

      test.each(players('shaka-player hls', 'shaka-player dash'))(
        '%s does so too, and shows small pictures',
        async (name) => {
          expect(await watch(name)).toMatchObject({ ...EVERYTHING, thumbnails: THUMBNAILS })
        },
      )

      test.each(players('hls.js muxed', 'shaka-player muxed'))(
        '%s plays, seeks, ends',
        async (name) => {
          expect(await watch(name)).toMatchObject(TO_THE_END)
        },
      )

      test.each(players('native'))('the element alone plays, seeks, ends (%s)', async (name) => {
        expect(await watch(name)).toMatchObject(TO_THE_END)
      })
    })

    describe.skipIf(backend !== 'sqlite' || !has('firefox'))('Firefox', () => {
      let firefox: Firefox
      beforeAll(async () => {
        firefox = await startFirefox()
      })
      afterAll(() => firefox.stop())

      async function watch(name: string): Promise<unknown> {
        const tab = await firefox.browser.newPage()
        await tab.goto(site)
        const seen: unknown = await tab.evaluate(watching(name))
        await tab.close()
        return seen
      }

      test.each(['hls.js', 'dashjs'])('%s plays, seeks, switches, ends', async (name) => {
        expect(await watch(name)).toMatchObject(EVERYTHING)
      })

      test('the element alone plays a rendition, seeks, ends', async () => {
        expect(await watch('native')).toMatchObject(TO_THE_END)
      })
    })
  })
})
