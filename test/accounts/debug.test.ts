import { request } from 'node:http'
import { describe, expect, test } from 'vitest'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'

const SECRET_KEY = 'zT8mQ2vX0wPq7Lr5Kd9Hs3Jf6Gn1Bc4V'
const PASSWORD = 'two horses and a stapler'
const FORWARDED = ['x-forwarded-for', 'x-real-ip', 'forwarded', 'via', 'x-forwarded-host'] as const

interface Told {
  debug: Record<string, string>
}

const register = (app: TestApp, email: string, headers: Record<string, string> = {}) =>
  app
    .client()
    .post(
      '/users/register/',
      { email, password: PASSWORD, confirm_password: PASSWORD },
      { headers },
    )
const forgot = (app: TestApp, email: string, headers: Record<string, string> = {}) =>
  app.client().post('/users/forgot-password/', { email }, { headers })

describe.each(BACKENDS)('with DEBUG, on this machine, on %s', (backend) => {
  test('register and forgot-password tell the link', async () => {
    await using app = await startApp({ backend })
    const registered = (await (await register(app, 'ada@example.com')).json()) as Told
    const { uid, token } = registered.debug
    expect(registered).toEqual({
      email: 'ada@example.com',
      debug: {
        uid: expect.stringMatching(/^[0-9a-z]+$/) as string,
        token: expect.stringMatching(/^[\w-]{43}$/) as string,
        confirmation_url: `${app.origin}/users/confirm/?uid=${uid}&token=${token}`,
      },
    })
    const opened = await app.client().get(registered.debug['confirmation_url'] ?? '')
    expect(opened.status).toBe(302)

    const { debug: reset } = (await (await forgot(app, 'ada@example.com')).json()) as Told
    expect(Object.keys(reset)).toEqual(['uid', 'token', 'reset_url'])
    expect(reset['reset_url']).toBe(
      `${app.origin}/reset-password/?uid=${reset['uid']}&token=${reset['token']}`,
    )
    expect(await (await forgot(app, 'nobody@example.com')).json()).not.toHaveProperty('debug')
  })

  test('nothing is told through a proxy, or under a foreign name', async () => {
    await using app = await startApp({ backend, env: { ALLOWED_HOSTS: '*' } })
    await app.viewer('ada@example.com')
    for (const name of FORWARDED) {
      const headers = { [name]: '127.0.0.1' }
      const registered = await register(app, `${name}@example.com`, headers)
      expect(registered.status).toBe(201)
      expect(await registered.json()).toEqual({ email: `${name}@example.com` })
      expect(await (await forgot(app, 'ada@example.com', headers)).json()).not.toHaveProperty(
        'debug',
      )
      expect((await app.client().get('/dev/mail/', { headers })).status).toBe(404)
    }
    // A page whose name was made to point here.
    expect(await statusAs(app, 'rebound.example', '/health/')).toBe(200)
    expect(await statusAs(app, 'rebound.example', '/dev/mail/')).toBe(404)
    expect(await statusAs(app, 'localhost', '/dev/mail/')).toBe(200)
  })

  test('sent mails are at /dev/mail/, links and all', async () => {
    await using app = await startApp({ backend })
    await register(app, 'ada@example.com')
    await app.worker.idle()
    const reply = await app.client().get('/dev/mail/')
    expect(reply.status).toBe(200)
    expect(reply.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(reply.headers.get('cache-control')).toBe('no-store')
    const page = await reply.text()
    expect(page).toContain('Confirm Your Videoflix Account')
    const [, link = ''] = /href="([^"]*\/users\/confirm\/[^"]*)"/.exec(page) ?? []
    expect((await app.client().get(link.replaceAll('&amp;', '&'))).status).toBe(302)
  })
})

test('without DEBUG, nothing is told and there is no mailbox', async () => {
  await using app = await startApp({ env: { DEBUG: 'False', SECRET_KEY } })
  expect(await (await register(app, 'ada@example.com')).json()).toEqual({
    email: 'ada@example.com',
  })
  await app.app.db.updateTable('users').set({ is_active: true }).execute()
  expect(await (await forgot(app, 'ada@example.com')).json()).toEqual({
    message: 'If this email exists, a reset link has been sent.',
  })
  await app.worker.idle()
  expect((await app.client().get('/dev/mail/')).status).toBe(404)
  expect(JSON.stringify(app.logs)).not.toContain('token=')
})

/** `fetch` sends no Host header but its own. */
function statusAs(app: TestApp, host: string, path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request(`${app.origin}${path}`, { headers: { host } }, (reply) => {
      reply.resume()
      resolve(reply.statusCode)
    })
      .on('error', reject)
      .end()
  })
}
