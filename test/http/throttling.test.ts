import { describe, expect, test } from 'vitest'
import { startApp, type TestApp } from '../harness/app.ts'

const BODIES = {
  '/users/login/': { email: 'nobody@example.com', password: 'guess' },
  '/users/register/': {},
  '/users/forgot-password/': { email: 'nobody@example.com' },
}
const TWO = {
  RATE_LIMIT_LOGIN: '2/min',
  RATE_LIMIT_REGISTER: '2/min',
  RATE_LIMIT_FORGOT: '2/min',
  RATE_LIMIT_EMAIL_EXISTS: '2/min',
}

const login = (app: TestApp, forwardedFor?: string) =>
  app.client().post('/users/login/', BODIES['/users/login/'], {
    headers: forwardedFor === undefined ? {} : { 'x-forwarded-for': forwardedFor },
  })
const statuses = async (replies: Promise<Response>[]) =>
  (await Promise.all(replies)).map(({ status }) => status).toSorted((one, other) => one - other)

describe('too many', () => {
  test('requests are told when to come back', async () => {
    await using app = await startApp({ env: TWO })
    const ask = {
      ...Object.fromEntries(
        Object.entries(BODIES).map(([path, body]) => [path, () => app.client().post(path, body)]),
      ),
      '/users/email-exists/': () => app.client().get('/users/email-exists/?email=a@example.com'),
    }
    for (const [path, request] of Object.entries(ask)) {
      expect([path, (await request()).status]).not.toEqual([path, 429])
      expect([path, (await request()).status]).not.toEqual([path, 429])
      const reply = await request()
      expect([path, reply.status]).toEqual([path, 429])
      const seconds = Number(reply.headers.get('retry-after'))
      expect(seconds).toBeGreaterThan(0)
      expect(seconds).toBeLessThanOrEqual(60)
      expect(await reply.json()).toEqual({
        detail: `Request was throttled. Expected available in ${seconds} second${seconds === 1 ? '' : 's'}.`,
      })
      expect(reply.headers.get('vary')).toBe('Origin')
      expect([...reply.headers.keys()].filter((name) => name.startsWith('x-ratelimit'))).toEqual([])
    }
    // What is not limited goes on.
    expect((await app.client().post('/users/refresh/')).status).toBe(401)
    expect((await app.client().get('/health/')).status).toBe(200)
  })

  test('from one client are counted as one, whatever it says of proxies', async () => {
    await using app = await startApp({ env: TWO })
    const addresses = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4']
    expect(await statuses(addresses.map((address) => login(app, address)))).toEqual([
      400, 400, 429, 429,
    ])
  })

  test('behind a trusted proxy are counted by the last address that it saw', async () => {
    await using app = await startApp({ env: { ...TWO, TRUSTED_PROXIES: '127.0.0.1,10.0.0.0/8' } })
    const forged = ['1.1.1.1', '2.2.2.2', '3.3.3.3'].map((first) => `${first}, 192.0.2.1`)
    expect(await statuses(forged.map((address) => login(app, address)))).toEqual([400, 400, 429])
    expect((await login(app, '192.0.2.2')).status).toBe(400)
    expect((await login(app, '192.0.2.1, 10.1.2.3')).status).toBe(429)
  })

  test('from one IPv6 network are counted as one', async () => {
    await using app = await startApp({ env: { ...TWO, TRUSTED_PROXIES: 'loopback' } })
    const neighbours = ['2001:db8:1:2::1', '2001:db8:1:2::2', '2001:db8:1:2:ffff::3']
    expect(await statuses(neighbours.map((address) => login(app, address)))).toEqual([
      400, 400, 429,
    ])
    expect((await login(app, '2001:db8:1:3::1')).status).toBe(400)
  })
})

test('logins at once wait in line, and too many of them are sent away while others are served', async () => {
  await using app = await startApp()
  const flood = Array.from({ length: 400 }, () => login(app))
  const healthy = await app.client().get('/health/')
  expect(healthy.status).toBe(200)
  const replies = await Promise.all(flood)
  const refused = replies.filter(({ status }) => status === 503)
  expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([400, 503]))
  for (const { headers } of refused) expect(headers.get('retry-after')).toBe('3')
  expect((await login(app)).status).toBe(400)
})
