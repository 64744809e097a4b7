import { readFile } from 'node:fs/promises'
import type { Locator } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { film } from '../films.ts'
import { startApp, type TestApp } from '../harness/app.ts'
import { startChromium, type Chromium } from '../harness/chromium.ts'
import { has } from '../harness/programs.ts'
import { hasS3 } from '../harness/s3.ts'
import { allDone, upload } from '../videos/library.ts'
import { openAdminPage } from './admin-page.ts'

const SOON = { timeout: 60_000, interval: 50 }

describe.skipIf(!hasS3 || !has('chromium'))('a bucket, seen from a browser', () => {
  let app: TestApp
  let browser: Chromium
  beforeAll(async () => {
    app = await startApp({ media: 's3' })
    await app.app.bucket!.allowOrigins([app.origin])
    browser = await startChromium()
  })
  afterAll(async () => {
    await browser.stop()
    await app.stop()
  })

  interface Screen {
    currentTime: number
    src: string
  }

  it('plays in pieces and whole, and shows posters', async () => {
    const title = 'A film in a bucket'
    await upload(await app.superuser(), { path: await film('h264 mp4'), title })
    await allDone(app)
    const { page, problems, row, button } = await openAdminPage(browser, app)
    const poster = row(title).locator('.poster img')
    const widthOf = (picture: Locator): Promise<number> =>
      picture.evaluate(({ naturalWidth }: { naturalWidth: number }) => naturalWidth)
    await expect.poll(() => widthOf(poster), SOON).toBeGreaterThan(0)

    await button(title, 'Play').click()
    const screen = page.locator('#player video')
    const screenNow = (): Promise<Screen> =>
      screen.evaluate(({ currentTime, src }: Screen) => ({ currentTime, src }))
    await expect.poll(async () => (await screenNow()).currentTime, SOON).toBeGreaterThan(0.3)
    expect((await screenNow()).src).toMatch(/^blob:/)
    await page.getByRole('dialog', { name: title }).getByLabel('Quality').selectOption({ index: 1 })
    await expect.poll(async () => (await screenNow()).src, SOON).toContain(app.s3!.endpoint)
    await expect.poll(async () => (await screenNow()).currentTime, SOON).toBeGreaterThan(0.3)
    expect(problems).toEqual([])
  })

  it('takes a film in parts from a page', async () => {
    const { page, problems, row } = await openAdminPage(browser, app)
    const bytes = await readFile(await film('half a second'))
    const status = await page.evaluate(async (base64: string) => {
      const body = new Blob([Uint8Array.from(atob(base64), (each) => each.codePointAt(0) ?? 0)])
      const post = async (path: string, content: unknown): Promise<Response> =>
        await fetch(`/admin/api/direct-uploads/${path}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(content),
        })
      const begun = await post('', { file_name: 'a.mp4', size: body.size })
      const { id } = (await begun.json()) as { id: string }
      const asked = await post(`${id}/parts/`, { numbers: [1] })
      const { parts } = (await asked.json()) as { parts: { url: string }[] }
      const sent = await fetch(parts[0]?.url ?? '', { method: 'PUT', body })
      const done = await post(`${id}/complete/`, { title: 'Sent in parts' })
      return [begun.status, asked.status, sent.status, done.status]
    }, bytes.toString('base64'))
    expect(status).toEqual([201, 200, 200, 201])
    await allDone(app)
    await row('Sent in parts').locator('.badge').getByText('Ready').waitFor(SOON)
    expect(problems).toEqual([])
  })
})
