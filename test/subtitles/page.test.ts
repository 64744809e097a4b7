import type { Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { BACKENDS, startApp, SUPERUSER } from '../harness/app.ts'
import { startChromium } from '../harness/chromium.ts'
import { has } from '../harness/programs.ts'
import { upload } from '../videos/library.ts'

const SRT = { mimeType: 'application/x-subrip', buffer: Buffer.from('00:01 --> 00:02\nHallo') }

async function signIn(page: Page, origin: string): Promise<void> {
  await page.goto(`${origin}/admin/`)
  await page.getByLabel('Email address').fill(SUPERUSER.email)
  await page.getByLabel('Password').fill(SUPERUSER.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
}

describe.skipIf(!has('chromium'))('the administration page', () => {
  it.each(BACKENDS)('shows, adds and removes the subtitles of a video, on %s', async (backend) => {
    await using app = await startApp({ backend })
    await using browser = await startChromium()
    await upload(await app.superuser(), { bad: 'text', title: 'A film' })
    const page = await browser.context.newPage()
    page.setDefaultTimeout(15_000)
    const problems: string[] = []
    page.on('pageerror', (error) => problems.push(error.message))
    page.on('dialog', (dialog) => void dialog.accept())
    await signIn(page, app.origin)

    await page.getByRole('button', { name: 'Subtitles: A film' }).click()
    const dialog = page.getByRole('dialog', { name: 'Subtitles of “A film”' })
    const add = dialog.getByRole('button', { name: 'Add' })
    await dialog.getByText('There are none yet.').waitFor()
    await add.click()
    await dialog.getByText('This field is required.').waitFor()
    await dialog.getByText('This field may not be blank.').waitFor()

    await dialog.getByLabel(/^File/).setInputFiles({ name: 'film.pt-BR.forced.srt', ...SRT })
    expect(await dialog.getByLabel(/^Language/).inputValue()).toBe('pt-BR')
    await dialog.getByRole('checkbox').check()
    await add.click()
    await dialog.getByText('pt-BR · forced').waitFor()
    expect(await dialog.getByLabel(/^Language/).inputValue()).toBe('')

    await dialog.getByLabel(/^File/).setInputFiles({ name: 'film.srt', ...SRT })
    await dialog.getByLabel(/^Language/).fill('de')
    await dialog.getByLabel(/^Label/).fill('<b>Deutsch</b>')
    await add.click()
    await dialog.getByText('<b>Deutsch</b>', { exact: true }).waitFor()

    for (const width of [1280, 360]) {
      await page.setViewportSize({ width, height: 800 })
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width)
    }
    await dialog.getByRole('button', { name: 'Remove: <b>Deutsch</b>' }).click()
    await dialog.getByText('<b>Deutsch</b>', { exact: true }).waitFor({ state: 'detached' })
    expect(await dialog.getByRole('listitem').count()).toBe(1)
    expect(problems).toEqual([])
  })
})
