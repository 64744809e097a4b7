import { describe, expect, it } from 'vitest'
import { BACKENDS, startApp } from '../harness/app.ts'
import { startChromium } from '../harness/chromium.ts'
import { has } from '../harness/programs.ts'
import { startReceiver, status } from '../webhooks/receiver.ts'
import { openAdminPage, widest } from './admin-page.ts'

const WEBHOOK_SECRET = `whsec_${Buffer.from('a secret of some thirty bytes 123').toString('base64')}`

describe.skipIf(!has('chromium'))('webhooks, in a browser', () => {
  it.each(BACKENDS)('are listed, filtered, tried and sent again, on %s', async (backend) => {
    await using receiver = await startReceiver()
    await using app = await startApp({
      backend,
      env: { WEBHOOK_URLS: `${receiver.origin}/films`, WEBHOOK_SECRET },
    })
    await using browser = await startChromium()
    const { page, problems } = await openAdminPage(browser, app)
    await page.getByRole('link', { name: 'Webhooks' }).click()
    const panel = page.getByRole('region', { name: 'Webhooks' })
    const deliveries = panel.getByRole('list', { name: 'Deliveries' }).getByRole('listitem')
    await panel.getByText('Nothing has been sent yet.').waitFor()

    receiver.answer = status(410)
    await panel.getByRole('button', { name: 'Send a test' }).click()
    await page.getByText('A test is on its way to 1 URL.').waitFor()
    await deliveries.locator('.badge').getByText('Given up').waitFor()
    const text = await deliveries.textContent()
    for (const part of ['webhook.test', `${receiver.origin}/films`, '1 attempt', 'answer 410']) {
      expect(text).toContain(part)
    }
    await panel.getByLabel('State').selectOption('Delivered')
    await panel.getByText('No delivery is in this state.').waitFor()

    await page.reload()
    receiver.answer = status(204)
    await panel.getByRole('button', { name: 'Replay' }).click()
    await deliveries.locator('.badge').getByText('Delivered').waitFor()
    expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(1)
    expect(receiver.received).toHaveLength(2)
    for (const width of [1280, 360]) expect(await widest(page, width)).toBeLessThanOrEqual(width)

    await page.goBack()
    await page.getByRole('heading', { name: 'Upload films' }).waitFor()
    expect(await panel.isVisible()).toBe(false)
    expect(problems).toEqual([])
  })

  it('say how to turn them on where nobody listens', async () => {
    await using app = await startApp()
    await using browser = await startChromium()
    const { page, problems } = await openAdminPage(browser, app)
    await page.getByRole('link', { name: 'Webhooks' }).click()
    const panel = page.getByRole('region', { name: 'Webhooks' })
    await panel.getByText('WEBHOOK_URLS').waitFor()
    await panel.getByRole('button', { name: 'Send a test' }).click()
    const alert = panel.getByRole('alert')
    await alert.waitFor()
    expect(await alert.textContent()).toBe('There is nobody to send it to: set WEBHOOK_URLS.')
    expect(problems).toEqual([])
  })
})
