import { Secret, TOTP } from 'otpauth'
import { expect, test } from 'vitest'
import { startApp } from '../harness/app.ts'
import { startChromium } from '../harness/chromium.ts'
import { has } from '../harness/programs.ts'
import { prepareProvider } from './provider.ts'

const PASSWORD = 'a viewer’s own password'
const PERSON = { subject: '1', email: 'ada@example.com', email_verified: true }

test.skipIf(!has('chromium'))(
  'in a browser: over to another site and back, with a one-time code',
  async () => {
    await using provider = await prepareProvider()
    await using videoflix = await startApp({
      env: { ...provider.env, JWT_COOKIE_SAMESITE: 'Strict' },
    })
    await provider.start(`${videoflix.origin}/users/openid/callback/`)
    provider.person = PERSON
    await using browser = await startChromium()
    const page = await browser.context.newPage()
    const problems: string[] = []
    page.on('console', (message) => void problems.push(message.text()))
    const statusOf = (path: string) =>
      page.evaluate(`fetch(${JSON.stringify(path)}).then((reply) => reply.status)`)

    const viewer = await videoflix.viewer(PERSON.email)
    await page.goto(`${videoflix.origin}/users/openid/login/`)
    expect(page.url()).toBe(`${videoflix.origin}/`)
    expect(await statusOf('/content/')).toBe(200)
    expect(problems).toEqual([])

    const offered = await viewer.post('/users/me/totp/', { password: PASSWORD })
    const { secret, qr_svg: qrCode } = (await offered.json()) as Record<'secret' | 'qr_svg', string>
    await page.setContent(qrCode)
    expect(await page.locator('svg').boundingBox()).toMatchObject({ x: expect.any(Number) })
    const code = () =>
      new TOTP({ secret: Secret.fromBase32(secret) }).generate({
        timestamp: videoflix.clock.now().getTime(),
      })
    await viewer.request('/users/me/totp/', {
      method: 'PUT',
      body: JSON.stringify({ code: code() }),
      headers: { 'content-type': 'application/json' },
    })
    videoflix.clock.advance(30_000)
    await browser.context.clearCookies()
    await page.goto(`${videoflix.origin}/users/openid/login/`)
    expect(page.url()).toBe(`${videoflix.origin}/users/openid/code/`)
    expect(await statusOf('/content/')).toBe(401)
    await page.fill('[name=code]', '000000')
    await page.click('button')
    await page.locator('#message', { hasText: 'The one-time code is not valid.' }).waitFor()
    await page.fill('[name=code]', code())
    await page.click('button')
    await page.waitForURL(`${videoflix.origin}/`)
    expect(await statusOf('/content/')).toBe(200)

    provider.person = null
    await browser.context.clearCookies()
    await page.goto(`${videoflix.origin}/users/openid/login/`)
    expect(await page.textContent('h1')).toBe('You are not signed in')
    const colour = await page.evaluate(
      "getComputedStyle(document.querySelector('.button')).backgroundColor",
    )
    expect(colour, 'the style is allowed').not.toBe('rgba(0, 0, 0, 0)')
    // Chromium reports the replies of 401 and 403 that were expected; a policy that refuses anything says so.
    expect(problems.filter((text) => !/status of 40[13]/.test(text))).toEqual([])
  },
)
