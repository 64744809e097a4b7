import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { startApp } from '../harness/app.ts'
import { startChromium } from '../harness/chromium.ts'
import { has } from '../harness/programs.ts'
import { aReadyVideo } from '../videos/library.ts'

test.skipIf(!has('chromium'))(
  'a browser plays, seeks and shows the poster on a page of another origin',
  async () => {
    await using app = await startApp()
    const superuser = await app.superuser()
    const video = await aReadyVideo(app, superuser, { film: 'vp9 webm' })
    const page = `<!doctype html><img src="${escaped(video.image_file)}"><video muted src="${escaped(video.video_file)}"></video>`
    const site = createServer((_request, reply) =>
      reply.setHeader('content-type', 'text/html').end(page),
    ).listen(0, '127.0.0.1')
    await once(site, 'listening')
    try {
      await using chromium = await startChromium()
      const tab = await chromium.context.newPage()
      const { port } = site.address() as AddressInfo
      await tab.goto(`http://localhost:${port}/`)
      const seen = await tab.evaluate(PLAY)
      expect(seen).toEqual({
        posterWidth: 192,
        width: 192,
        duration: expect.closeTo(2, 0),
        hasAdvanced: true,
        soughtTo: expect.closeTo(1.2, 1),
        error: null,
      })
    } finally {
      site.close()
      site.closeAllConnections()
    }
  },
)

function escaped(url: string | null): string {
  return (url ?? '').replaceAll('&', '&amp;')
}

/** Runs in the page. */
const PLAY = `(async () => {
  const video = document.querySelector('video')
  const image = document.querySelector('img')
  const event = (name) => new Promise((resolve, reject) => {
    video.addEventListener(name, resolve, { once: true })
    video.addEventListener('error', () => reject(new Error(video.error.message)), { once: true })
  })
  await image.decode()
  if (video.readyState < 1) await event('loadedmetadata')
  await video.play()
  while (video.currentTime < 0.2) await event('timeupdate')
  const hasAdvanced = video.currentTime > 0
  const sought = event('seeked')
  video.pause()
  video.currentTime = 1.2
  await sought
  return {
    posterWidth: image.naturalWidth,
    width: video.videoWidth,
    duration: video.duration,
    hasAdvanced,
    soughtTo: video.currentTime,
    error: video.error,
  }
})()`
