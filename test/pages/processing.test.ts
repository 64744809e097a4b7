import { sql } from 'kysely'
import type { Locator } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { film } from '../films.ts'
import { startApp, type TestApp } from '../harness/app.ts'
import { startChromium, type Chromium } from '../harness/chromium.ts'
import { has } from '../harness/programs.ts'
import { allDone, upload } from '../videos/library.ts'
import { openAdminPage, widest } from './admin-page.ts'

const SOON = { timeout: 60_000, interval: 50 }

describe.skipIf(!has('chromium') || !has('ffmpeg'))('processing, in a browser', () => {
  let app: TestApp
  let browser: Chromium
  beforeAll(async () => {
    app = await startApp({ env: { KEEP_ORIGINAL: 'False', JOB_SWEEP_INTERVAL: '0.2' } })
    browser = await startChromium()
    await browser.context.grantPermissions(['clipboard-read', 'clipboard-write'])
  })
  afterAll(async () => {
    await browser.stop()
    await app.stop()
  })

  /** Whatever would be converted waits until it is let go. */
  async function holdConverting(): Promise<() => Promise<void>> {
    const { db } = app.app
    await sql`create trigger hold after insert on tasks when new.kind = 'encode_part'
      begin update tasks set due_at = '2999-01-01T00:00:00.000Z' where id = new.id; end`.execute(db)
    const letGo = async (): Promise<void> => {
      await sql`drop trigger if exists hold`.execute(db)
      await db
        .updateTable('tasks')
        .set({ due_at: new Date() })
        .where('kind', '=', 'encode_part')
        .execute()
    }
    onTestFinished(letGo)
    return letGo
  }

  interface Screen {
    currentTime: number
    src: string
  }
  const placeOf = (video: Locator): Promise<number> =>
    video.evaluate(({ currentTime }: Screen) => currentTime)
  const srcOf = (video: Locator): Promise<string> => video.evaluate(({ src }: Screen) => src)

  it('shows step by step what is done, and plays what there is before the rest', async () => {
    const { page, problems, row, button } = await openAdminPage(browser, app)
    const posters: (() => void)[] = []
    await page.route('**/poster.jpg?*', async (route) => {
      await new Promise<void>((resolve) => posters.push(resolve))
      await route.continue()
    })
    const letGo = await holdConverting()
    const title = 'A <i>long</i> film'
    await upload(await app.superuser(), { path: await film('keyframes every 2.4 s'), title })
    await row(title)
      .getByText(/^Steps: /)
      .click()
    const step = (name: string): Locator =>
      row(title)
        .locator('.step')
        .filter({ has: page.getByText(name, { exact: true }) })

    await step('Copying the picture').getByText('Done').waitFor(SOON)
    await step('Converting').getByText('Waiting').waitFor(SOON)
    await row(title).locator('.badge').getByText('In progress').waitFor()
    await step('Packaging 720p').getByText('Done').waitFor(SOON)

    await button(title, 'Play').click()
    const player = page.getByRole('dialog', { name: title })
    const screen = page.locator('#player video')
    const quality = player.getByLabel('Quality')
    await expect.poll(() => placeOf(screen), SOON).toBeGreaterThan(0.3)
    expect(await srcOf(screen)).toMatch(/^blob:/)
    expect(await quality.locator('option').allTextContents()).toEqual(['Automatic', '720p'])
    await quality.selectOption('720p')
    await expect.poll(() => srcOf(screen), SOON).toContain('/720p.mp4?')
    // It goes on, and does not begin again.
    await expect.poll(() => placeOf(screen), SOON).toBeGreaterThan(0.3)
    await page.keyboard.press('Escape')
    await expect.poll(() => srcOf(screen), SOON).toBe('')

    await letGo()
    await step('Converting').getByText('Done').waitFor(SOON)
    await row(title)
      .getByText(/^Steps: all \d+ done$/)
      .waitFor(SOON)
    const poster = row(title).locator('.poster')
    await expect.poll(() => posters.length, SOON).toBeGreaterThan(0)
    expect(await poster.getAttribute('style')).toContain('url("data:image/png;base64,')
    for (const open of posters) open()
    await expect.poll(() => poster.getAttribute('style'), SOON).not.toContain('url')

    await step('Converting').getByText('Command and output').click()
    const command = step('Converting').locator('.command')
    await command.getByText(/^ffmpeg .*libx264/).waitFor()
    await step('Converting').getByRole('button', { name: 'Copy' }).click()
    await page.getByText('Copied.').waitFor()
    expect(await page.evaluate('navigator.clipboard.readText()')).toContain(
      await command.textContent(),
    )

    // Without a playlist there are still the files.
    await page.route('**/master.m3u8?*', (route) => route.fulfill({ status: 404 }))
    await button(title, 'Play').click()
    await expect.poll(() => srcOf(screen), SOON).toContain('/720p.mp4?')
    expect(await quality.locator('option').allTextContents()).toEqual(['720p', '360p', '120p'])
    await player.getByRole('button', { name: 'Close' }).click()

    await row(title).getByText('The uploaded file was not kept').waitFor()
    expect(await button(title, 'Process again').isDisabled()).toBe(true)
    for (const width of [1280, 360]) expect(await widest(page, width)).toBeLessThanOrEqual(width)
    expect(problems).toEqual([])
  })

  it('tells which step failed, and what its command said', async () => {
    const { page, problems, row, button } = await openAdminPage(browser, app)
    const title = 'Noise'
    await upload(await app.superuser(), { bad: 'scrambled pictures', title })
    await allDone(app)
    await row(title).locator('.badge').getByText('Failed').waitFor(SOON)
    await row(title)
      .getByText(/^Steps: \d of \d done, 1 failed$/)
      .click()
    const failed = row(title)
      .locator('.step')
      .filter({ has: page.locator('.state.failed') })
    expect(await failed.locator('.sentence').textContent()).toMatch(/\w+\.$/)
    expect(await failed.locator('.problem code').textContent()).toBe('undecodable')
    await failed.getByText('Command and output').click()
    await failed
      .locator('.command')
      .getByText(/^ffmpeg /)
      .waitFor()
    expect(await failed.locator('.output').textContent()).toMatch(/decod|Invalid/i)
    expect(await button(title, 'Retry').isEnabled()).toBe(true)
    expect(await button(title, 'Play').isDisabled()).toBe(true)
    expect(problems).toEqual([])
  })
})
