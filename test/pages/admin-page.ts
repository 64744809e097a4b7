import type { Locator, Page } from 'playwright-core'
import { onTestFinished } from 'vitest'
import { SUPERUSER, type TestApp } from '../harness/app.ts'
import type { Chromium } from '../harness/chromium.ts'

/** The administration page in a browser. */
export interface AdminPage {
  page: Page
  /** What a person with the developer tools open would call wrong. */
  problems: string[]
  /** A video in the list. */
  row: (title: string) => Locator
  /** A button of that video. */
  button: (title: string, name: string) => Locator
}

/** Opens it as a superuser; it is closed when the test ends. */
export async function openAdminPage(browser: Chromium, app: TestApp): Promise<AdminPage> {
  await browser.context.clearCookies()
  const page = await browser.context.newPage()
  onTestFinished(() => page.close())
  page.setDefaultTimeout(15_000)
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(error.message))
  page.on('console', (message) => {
    // The browser logs every 4xx: a visitor without a session, and what is refused.
    const isRefusal = /status of (401|404|409) /.test(message.text())
    if (message.type() === 'error' && !isRefusal) problems.push(message.text())
  })
  page.on('request', (request) => {
    const bucket = app.s3 ? [`${app.s3.endpoint}/`] : []
    const ours = [`${app.origin}/`, 'data:', ...bucket]
    const isOurs = ours.some((start) => request.url().startsWith(start))
    if (!isOurs) problems.push(`request to ${request.url()}`)
  })
  await page.goto(`${app.origin}/admin/`)
  await page.getByLabel('Email address').fill(SUPERUSER.email)
  await page.getByLabel('Password').fill(SUPERUSER.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('heading', { name: 'Upload films' }).waitFor()
  const row = (title: string): Locator =>
    page.locator('#videos > li').filter({ has: page.getByRole('heading', { name: title }) })
  return {
    page,
    problems,
    row,
    button: (title, name) => row(title).getByRole('button', { name: new RegExp(`^${name}`) }),
  }
}

/** Nothing may stick out at the side. */
export async function widest(page: Page, width: number): Promise<unknown> {
  await page.setViewportSize({ width, height: 800 })
  return await page.evaluate('document.documentElement.scrollWidth')
}
