import type { Playback } from '@videoflix/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startApp } from '../harness/app.ts'
import { startChromium } from '../harness/chromium.ts'
import { has } from '../harness/programs.ts'
import { temporaryFolder } from '../harness/temporary-folder.ts'
import { aFilm } from './film.ts'
import { aPackagedFilm, HEIGHTS, SECONDS } from './packaged-film.ts'
import { startPlayerSite } from './site.ts'

interface Urls {
  hls: string
  dash: string
  /** One rendition, as a file. */
  file: string
}

/** What `players.js` tells. */
interface Seen {
  failure?: string
  errors: string[]
}

const PLAYERS = ['hls.js', 'video.js', 'shaka-player hls', 'shaka-player dash', 'dashjs']

/** What every player must have shown that chooses among renditions. */
const EVERYTHING = {
  errors: [],
  heights: HEIGHTS,
  duration: expect.closeTo(SECONDS, 0),
  widths: { 360: 640, 180: 320 },
  languages: expect.arrayContaining(['en', 'de']),
  subtitles: { startTime: 1, endTime: 9, text: 'Bonjour' },
  endedAt: expect.closeTo(SECONDS, 0),
}

describe('on a page of another origin, without cookies', () => {
  const resources = new AsyncDisposableStack()
  let urls: Urls
  let site: string
  beforeAll(async () => {
    const folder = resources.use(await temporaryFolder())
    site = resources.use(await startPlayerSite()).origin
    const app = resources.use(await startApp({ env: { CORS_ALLOWED_ORIGINS: site } }))
    const { videoId } = await aFilm(app, await aPackagedFilm(folder.path))
    const viewer = await app.viewer()
    const { hls_url, dash_url } = (await (
      await viewer.get(`/content/${videoId}/playback/`)
    ).json()) as Playback
    const file = await viewer.get(`/content/video-url/${videoId}/`)
    urls = { hls: hls_url, dash: dash_url, file: ((await file.json()) as { url: string }).url }
  })
  afterAll(() => resources.disposeAsync())

  describe.skipIf(!has('chromium'))('Chromium', () => {
    async function watch(name: string): Promise<Seen> {
      await using chromium = await startChromium()
      const tab = await chromium.context.newPage()
      await tab.goto(site)
      return await tab.evaluate(`watch(${JSON.stringify(name)}, ${JSON.stringify(urls)})`)
    }

    test.each(PLAYERS)('%s plays, seeks, switches and ends', async (name) => {
      expect(await watch(name)).toMatchObject(EVERYTHING)
    })

    test('the element alone plays a rendition, seeks and ends', async () => {
      expect(await watch('native')).toMatchObject({
        errors: [],
        duration: expect.closeTo(SECONDS, 0),
        endedAt: expect.closeTo(SECONDS, 0),
      })
    })
  })
})
