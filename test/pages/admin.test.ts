import { CATEGORIES } from '@videoflix/contract'
import { Secret, TOTP } from 'otpauth'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { badFilm, film } from '../films.ts'
import { startApp, SUPERUSER, type TestApp } from '../harness/app.ts'
import { startChromium, type Chromium } from '../harness/chromium.ts'
import { has } from '../harness/programs.ts'
import { allDone } from '../videos/library.ts'

const READY_MS = 60_000

describe.skipIf(!has('chromium') || !has('ffmpeg'))('pages in a browser', () => {
  let app: TestApp
  let browser: Chromium
  let page: Page
  /** What a person with the developer tools open would call wrong. */
  let problems: string[]

  beforeAll(async () => {
    app = await startApp()
    browser = await startChromium()
  })
  afterAll(async () => {
    await browser.stop()
    await app.stop()
  })
  beforeEach(async () => {
    problems = []
    await browser.context.clearCookies()
    page = await browser.context.newPage()
    page.setDefaultTimeout(15_000)
    page.on('pageerror', (error) => problems.push(error.message))
    page.on('console', (message) => {
      // The browser logs every 4xx: a visitor without a session, and forms that are refused.
      const isRefusal = /status of (400|401|403|404) /.test(message.text())
      if (message.type() === 'error' && !isRefusal) problems.push(message.text())
    })
    page.on('request', (request) => {
      const isOurs = request.url().startsWith(`${app.origin}/`) || request.url().startsWith('data:')
      if (!isOurs) problems.push(`request to ${request.url()}`)
    })
    onTestFinished(() => page.close())
  })

  async function signIn(credentials: { email: string; password: string }): Promise<void> {
    await page.goto(`${app.origin}/admin/`)
    await page.getByLabel('Email address').fill(credentials.email)
    await page.getByLabel('Password').fill(credentials.password)
    await page.getByRole('button', { name: 'Sign in' }).click()
  }

  /** A row of the list. */
  const row = (title: string) =>
    page.locator('#videos > li').filter({ has: page.getByRole('heading', { name: title }) })
  const press = (title: string, name: string) =>
    row(title)
      .getByRole('button', { name: new RegExp(`^${name}`) })
      .click()

  async function upload(path: string, title: string): Promise<void> {
    await page.getByLabel('Choose films').setInputFiles(path)
    await page.locator('#uploads').getByLabel('Title').fill(title)
    await page.getByRole('button', { name: 'Upload', exact: true }).click()
  }

  it.each([
    ['home', '/', 'Your films, from your own machine'],
    ['mailbox', '/dev/mail/', 'Sent mail'],
    ['reset password', '/reset-password/?uid=1&token=x', 'Choose a new password'],
    ['confirmation failed', '/users/confirm/?uid=1&token=x', 'This link does not work any more'],
    ['docs', '/docs/', 'Videoflix'],
  ])('shows %s from this server alone', async (_name, path, heading) => {
    await page.goto(app.origin + path)
    await page.getByRole('heading', { name: heading }).first().waitFor()
    await page.waitForLoadState('networkidle')
    for (const width of [1280, 360]) {
      await page.setViewportSize({ width, height: 800 })
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width)
    }
    expect(problems).toEqual([])
  })

  it('takes a film from the file to the player, and away again', async () => {
    await signIn(SUPERUSER)
    await upload(await film('h264 mp4'), 'A <b>first</b> film')

    await row('A <b>first</b> film').getByText('Ready').waitFor({ timeout: READY_MS })
    const poster = row('A <b>first</b> film').locator('img')
    await expect
      .poll(() => poster.evaluate((img: { naturalWidth: number }) => img.naturalWidth))
      .toBe(192)

    await press('A <b>first</b> film', 'Play')
    const player = page.locator('#player video')
    await expect
      .poll(() => player.evaluate((video: { currentTime: number }) => video.currentTime), {
        timeout: READY_MS,
      })
      .toBeGreaterThan(0.3)
    await page.keyboard.press('Escape')

    await row('A <b>first</b> film').getByText('Steps: all').click()
    const retried = page.waitForResponse((reply) => reply.url().endsWith('/retry/'))
    await press('A <b>first</b> film', 'Process again')
    expect((await retried).status()).toBe(200)
    await allDone(app)

    await press('A <b>first</b> film', 'Edit')
    const editor = page.getByRole('dialog', { name: 'Edit video' })
    await editor.getByLabel('Title').fill('')
    await editor.getByRole('button', { name: 'Save' }).click()
    await editor.getByText('This field may not be blank.').waitFor()
    await editor.getByLabel('Title').fill('Renamed')
    await editor.getByLabel('Category').selectOption('Western')
    await editor.getByLabel('Description').fill('Of a summer.')
    await editor.getByRole('button', { name: 'Save' }).click()
    await row('Renamed').getByText('Western').waitFor()

    await page.getByLabel('Search').fill('no such film')
    await page.getByText('No video matches.').waitFor()
    await page.getByLabel('Search').fill('SUMMER')
    await row('Renamed').waitFor()

    await press('Renamed', 'Delete')
    const remover = page.getByRole('alertdialog')
    await remover.getByRole('button', { name: 'Delete' }).click()
    await row('Renamed').waitFor({ state: 'detached' })
    expect(problems).toEqual([])
  })

  it('says why a film failed, and shows what is wrong under its field', async () => {
    await signIn(SUPERUSER)
    await upload(await badFilm('text'), 'Not a film')
    await row('Not a film').locator('.badge').getByText('Failed').waitFor({ timeout: READY_MS })
    expect(await row('Not a film').locator('.problem').textContent()).toMatch(/\w+\.$/)
    await row('Not a film')
      .getByRole('button', { name: /^Retry/ })
      .waitFor()

    await upload(await film('h264 mp4'), 'Not a film')
    const field = page.locator('#uploads').getByLabel('Title')
    await page.locator('#uploads').getByText('Video with this title already exists.').waitFor()
    expect(await field.getAttribute('aria-invalid')).toBe('true')

    const chosen = page.waitForEvent('filechooser')
    await press('Not a film', 'Replace file')
    await (await chosen).setFiles(await film('h264 mp4'))
    await row('Not a film').getByText('Ready').waitFor({ timeout: READY_MS })
    expect(problems).toEqual([])
  })

  it('goes on with an upload after the connection and the session were lost', async () => {
    await signIn(SUPERUSER)
    await page.getByLabel('Choose films').waitFor()
    const sent: string[] = []
    let losses = 2
    let hasSession = true
    await page.route('**/admin/api/uploads/*', async (route) => {
      const method = route.request().method()
      if (method === 'PATCH' && (losses -= 1) >= 0) return await route.abort('connectionreset')
      if (method === 'HEAD' && hasSession) {
        hasSession = false
        await browser.context.clearCookies({ name: 'vf_access' })
      }
      sent.push(method)
      await route.continue()
    })
    await upload(await film('silent'), 'Lost and found')
    await row('Lost and found').waitFor({ timeout: READY_MS })
    // The first without a session; then one for each loss.
    expect(sent.filter((method) => method === 'HEAD').length).toBeGreaterThanOrEqual(3)
    expect(problems.filter((problem) => !problem.includes('ERR_CONNECTION_RESET'))).toEqual([])
  })

  it('ends an upload that is cancelled', async () => {
    await signIn(SUPERUSER)
    await page.getByLabel('Choose films').waitFor()
    await page.route('**/admin/api/uploads/*', async (route) => {
      if (route.request().method() !== 'PATCH') await route.continue()
    })
    const created = page.waitForResponse((reply) => reply.url().endsWith('/uploads/'))
    // Dropped onto the field this time.
    const dropped = await page.evaluateHandle(`(() => {
      const transfer = new DataTransfer()
      transfer.items.add(new File(['film'], 'never_mind.mp4'))
      return transfer
    })()`)
    await page.dispatchEvent('#drop', 'drop', { dataTransfer: dropped })
    expect(await page.locator('#uploads').getByLabel('Title').inputValue()).toBe('never mind')
    await page.getByRole('button', { name: 'Upload', exact: true }).click()
    const location = (await created).headers()['location'] ?? ''
    const ended = page.waitForResponse((reply) => reply.request().method() === 'DELETE')
    await page.getByRole('button', { name: 'Cancel' }).click()
    expect((await ended).status()).toBe(204)
    const superuser = await app.superuser()
    const headers = { 'tus-resumable': '1.0.0' }
    const asked = await superuser.request(location, { method: 'HEAD', headers })
    expect([404, 410]).toContain(asked.status)
  })

  it('is for superusers', async () => {
    const { cookies } = await app.viewer('somebody@example.com')
    expect(cookies.size).toBe(2)
    await signIn({ email: 'somebody@example.com', password: 'a viewer’s own password' })
    await page.getByRole('heading', { name: 'This page is for administrators' }).waitFor()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('Password').fill('wrong')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByLabel('Email address').waitFor()
    expect(problems).toEqual([])
  })

  it('asks for a one-time code where the account wants one', async () => {
    const careful = { email: 'careful@example.com', password: 'a viewer’s own password' }
    const client = await app.viewer(careful.email)
    const { db } = app.app
    await db
      .updateTable('users')
      .set({ is_superuser: true })
      .where('email', '=', careful.email)
      .execute()
    const offered = await client.post('/users/me/totp/', { password: careful.password })
    const { secret } = (await offered.json()) as { secret: string }
    const totp = new TOTP({ secret: Secret.fromBase32(secret) })
    const codeOf = (steps: number): string =>
      totp.generate({ timestamp: Date.now() + steps * 30_000 })
    const confirmed = await client.request('/users/me/totp/', {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ code: codeOf(0) }),
    })
    expect(confirmed.status).toBe(200)

    await signIn(careful)
    await page.getByText('A one-time code is required.').waitFor()
    await page.getByLabel('One-time code').fill('000000')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByText('The one-time code is not valid.').waitFor()
    // A code counts once: the next one is good already.
    await page.getByLabel('One-time code').fill(codeOf(1))
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByLabel('Search').waitFor()
    expect(problems).toEqual([])
  })

  it('goes back to the sign-in form when the session has ended elsewhere', async () => {
    await signIn(SUPERUSER)
    await page.getByLabel('Search').waitFor()
    await browser.context.clearCookies()
    // The stream of events may notice first, and the field be gone.
    const search = page.getByLabel('Search').fill('anything', { timeout: 3000 })
    await search.catch(() => undefined)
    await page.getByText('Your session has ended. Please sign in again.').waitFor()
    await page.getByLabel('Email address').waitFor()
    expect(problems).toEqual([])
  })

  it('offers the categories that the server takes', async () => {
    await page.goto(`${app.origin}/admin/`)
    const options = page.locator('#editor [name="category"] option')
    expect(await options.allTextContents()).toEqual([...CATEGORIES])
  })
})
