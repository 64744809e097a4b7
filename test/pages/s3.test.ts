import { readFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import type { DirectUpload } from '@videoflix/contract'
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3'
import type { Locator, Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { noFault, startS3Proxy, type S3Proxy } from '../faults/s3-proxy.ts'
import { bytes, film } from '../films.ts'
import { startApp, type TestApp } from '../harness/app.ts'
import { startChromium, type Chromium } from '../harness/chromium.ts'
import { has } from '../harness/programs.ts'
import { hasS3 } from '../harness/s3.ts'
import { sharedS3 } from '../harness/shared-s3.ts'
import { allDone, upload } from '../videos/library.ts'
import { openAdminPage } from './admin-page.ts'

const SOON = { timeout: 60_000, interval: 50 }
const MIB = 1024 * 1024
const TUS = '/admin/api/uploads/'
const DIRECT = '/admin/api/direct-uploads/'

describe.skipIf(!hasS3 || !has('chromium'))('a bucket, seen from a browser', () => {
  let proxy: S3Proxy
  let app: TestApp
  let browser: Chromium
  const sockets: Socket[] = []
  beforeAll(async () => {
    const s3 = await sharedS3()
    proxy = await startS3Proxy(s3.endpoint)
    const { endpoint } = proxy
    app = await startApp({
      media: { ...s3, endpoint },
      env: { AWS_S3_ENDPOINT_URL: endpoint },
    })
    app.server.server.on('connection', (socket) => void sockets.push(socket))
    await app.app.bucket!.allowOrigins([app.origin])
    browser = await startChromium()
  })
  afterAll(async () => {
    await browser.stop()
    await app.stop()
    await proxy.stop()
  })
  beforeEach(() => {
    proxy.rule = noFault
    proxy.requests.length = 0
  })

  interface Screen {
    currentTime: number
    src: string
  }

  const bytesReadByServer = (): number => sockets.reduce((sum, { bytesRead }) => sum + bytesRead, 0)

  /** Numbers of the parts that came by the proxy, in order; all at once come in any. */
  const partsSent = (): number[] =>
    proxy.requests
      .filter(({ operation }) => operation === 'UploadPart')
      .map(({ path }) => partOf(path))
      .toSorted(ascending)

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

  it('takes a film past the server, and again the part that was cut off', async () => {
    const { page, problems, row } = await openAdminPage(browser, app)
    const [ofTus, direct] = [requestsTo(page, TUS), requestsTo(page, DIRECT)]
    const before = bytesReadByServer()
    // Until the page comes for a fourth URL: a browser sends again by itself what was cut on a connection in use.
    const isPageTryingAgain = (): boolean =>
      direct.filter((request) => request.endsWith('/parts/')).length > 3
    proxy.rule = ({ operation, path }) =>
      operation === 'UploadPart' && partOf(path) === 2 && !isPageTryingAgain()
        ? { kind: 'cut request', share: 0.5 }
        : null
    await send(page, await aFilmOfThreeParts(), 'Past the server')
    await row('Past the server').locator('.badge').getByText('Ready').waitFor(SOON)
    expect(isPageTryingAgain()).toBe(true)
    expect(new Set(partsSent())).toEqual(new Set([1, 2, 3]))
    expect(bytesReadByServer() - before).toBeLessThan(MIB)
    expect(ofTus).toEqual([])
    expect(await page.locator('#detour').isVisible()).toBe(false)
    expect(problems.filter((problem) => !problem.includes('net::ERR_'))).toEqual([])
  })

  it('gets only the missing parts after the page was loaded again', async () => {
    const { page, problems, row } = await openAdminPage(browser, app)
    const superuser = await app.superuser()
    proxy.rule = ({ operation, path }) =>
      operation === 'UploadPart' && partOf(path) !== 2 ? { kind: 'silence' } : null
    const begun = page.waitForResponse((reply) => reply.url().endsWith(DIRECT))
    await send(page, await aFilmOfThreeParts(), 'In two goes')
    const { id } = (await (await begun).json()) as DirectUpload
    const arrived = async (): Promise<number[]> => {
      const { parts } = (await (await superuser.get(`${DIRECT}${id}/`)).json()) as DirectUpload
      return parts.map(({ number }) => number)
    }
    await expect.poll(arrived, SOON).toEqual([2])

    await page.reload()
    proxy.rule = noFault
    proxy.requests.length = 0
    await send(page, await aFilmOfThreeParts(), 'In two goes')
    await row('In two goes').waitFor(SOON)
    expect(partsSent()).toEqual([1, 3])
    expect(problems).toEqual([])
  })

  it('keeps no parts of a film that is cancelled', async () => {
    const { page, problems } = await openAdminPage(browser, app)
    proxy.rule = ({ operation, path }) =>
      operation === 'UploadPart' && partOf(path) !== 1 ? { kind: 'silence' } : null
    await send(page, await aFilmOfThreeParts(), 'Never mind')
    await expect.poll(partsSent, SOON).toEqual([1, 2, 3])
    expect(await unfinished(app)).toBe(1)
    const ended = page.waitForResponse((reply) => reply.request().method() === 'DELETE')
    await page.getByRole('button', { name: 'Cancel' }).click()
    expect((await ended).status()).toBe(204)
    expect(await unfinished(app)).toBe(0)
    expect(problems).toEqual([])
  })

  it('keeps what it has when a title turns out to be taken', async () => {
    const title = 'Taken'
    await upload(await app.superuser(), { bad: 'text', title })
    const { page, row } = await openAdminPage(browser, app)
    await send(page, await film('half a second'), title)
    await page.locator('#uploads').getByText('Video with this title already exists.').waitFor()
    await page.locator('#uploads').getByLabel('Title').fill('Free')
    await page.getByRole('button', { name: 'Upload', exact: true }).click()
    await row('Free').waitFor(SOON)
    expect(partsSent()).toEqual([1])
  })

  it('that has no CORS rule gets films by the server, and the page says what to do', async () => {
    await using closed = await startApp({ media: 's3' })
    const { page, row } = await openAdminPage(browser, closed)
    const [ofTus, direct] = [requestsTo(page, TUS), requestsTo(page, DIRECT)]
    await send(page, await film('half a second'), 'By the server')
    await row('By the server').waitFor(SOON)
    expect(await page.locator('#detour').textContent()).toContain('videoflix s3-cors')
    expect(await page.locator('#detour').isVisible()).toBe(true)
    expect(ofTus).toContain(`POST ${TUS}`)
    expect(direct.at(-1)).toMatch(/^DELETE/)

    const tried = direct.length
    await send(page, await film('silent'), 'The next one')
    await row('The next one').waitFor(SOON)
    expect(direct).toHaveLength(tried)
    await row('By the server').locator('.badge').getByText('Ready').waitFor(SOON)
    expect(await unfinished(closed)).toBe(0)
  })

  it('is the only other place that the page may talk to', async () => {
    const reply = await fetch(`${app.origin}/admin/`)
    const policy = reply.headers.get('content-security-policy')?.split('; ')
    expect(policy).toContain(`connect-src 'self' ${new URL(proxy.endpoint).origin}`)
  })
})

/** By the page's own form. */
async function send(page: Page, path: string, title: string): Promise<void> {
  await page.getByLabel('Choose films').setInputFiles(path)
  await page.locator('#uploads').getByLabel('Title').fill(title)
  await page.getByRole('button', { name: 'Upload', exact: true }).click()
}

/** A short film behind which there is much that no player looks at (ISO/IEC 14496-12 §8.1.2). */
async function aFilmOfThreeParts(): Promise<string> {
  const free = Buffer.alloc(33 * MIB)
  free.writeUInt32BE(free.length)
  free.write('free', 4, 'latin1')
  return await bytes('mp4', Buffer.concat([await readFile(await film('half a second')), free]))
}

/** What the page asks for from now on: method and path. */
function requestsTo(page: Page, prefix: string): string[] {
  const seen: string[] = []
  page.on('request', (request) => {
    const { pathname } = new URL(request.url())
    if (pathname.startsWith(prefix)) seen.push(`${request.method()} ${pathname}`)
  })
  return seen
}

const ascending = (one: number, other: number): number => one - other

function partOf(path = ''): number {
  return Number(new URL(path, 'http://s3').searchParams.get('partNumber'))
}

/** How many multipart uploads there are in the bucket of an app. */
async function unfinished({ s3, settings }: TestApp): Promise<number> {
  const Bucket = settings.s3?.bucket
  const { Uploads = [] } = await s3!.client.send(new ListMultipartUploadsCommand({ Bucket }))
  return Uploads.length
}
