import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startApp, type TestApp } from '../harness/app.ts'

const CLIENT = 'http://localhost:4200'
const TRUSTED = 'https://forms.example.com'
const STRANGERS = [
  'https://evil.example',
  'http://localhost:4201',
  'https://localhost:4200',
  'http://localhost:4200.evil.example',
  'http://LOCALHOST:4200',
  `${CLIENT}/`,
  'null',
  'file://',
  '*',
]

describe('a page of another origin', () => {
  let app: TestApp
  beforeAll(async () => {
    app = await startApp({ env: { CORS_ALLOWED_ORIGINS: CLIENT, CSRF_TRUSTED_ORIGINS: TRUSTED } })
  })
  afterAll(() => app.stop())

  const corsHeaders = ({ headers }: Response) =>
    Object.fromEntries([...headers].filter(([name]) => name.startsWith('access-control-')))
  const preflight = (path: string, origin: string) =>
    app.client().request(path, {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type,x-retry',
      },
    })

  test('on the list may read, with cookies', async () => {
    for (const path of ['/health/', '/content/', '/nothing/', '/users/login']) {
      const reply = await app.client().get(path, { headers: { origin: CLIENT } })
      expect(corsHeaders(reply)).toEqual({
        'access-control-allow-origin': CLIENT,
        'access-control-allow-credentials': 'true',
      })
      expect(reply.headers.get('vary')).toBe('Origin')
    }
  })

  test('on the list may ask first, on any path', async () => {
    for (const path of ['/users/login/', '/content/', '/content/add-favorite/', '/nothing/']) {
      const reply = await preflight(path, CLIENT)
      expect(reply.status).toBe(200)
      expect(corsHeaders(reply)).toEqual({
        'access-control-allow-origin': CLIENT,
        'access-control-allow-credentials': 'true',
        'access-control-allow-headers':
          'accept, authorization, content-type, user-agent, x-csrftoken, x-requested-with, x-retry',
        'access-control-allow-methods': 'DELETE, GET, OPTIONS, PATCH, POST, PUT',
        'access-control-max-age': '86400',
      })
      expect(reply.headers.get('vary')).toBe('Origin')
    }
  })

  test.each([...STRANGERS, TRUSTED])('of %s gets no CORS header at all', async (origin) => {
    for (const reply of [
      await app.client().get('/health/', { headers: { origin } }),
      await app.client().post('/users/login/', {}, { headers: { origin } }),
      await preflight('/users/login/', origin),
      await preflight('/content/', origin),
    ]) {
      expect(corsHeaders(reply)).toEqual({})
      expect(reply.headers.get('vary')).toBe('Origin')
    }
  })

  test.each(STRANGERS)('of %s may change nothing', async (origin) => {
    const viewer = await app.viewer()
    for (const path of [
      '/users/register/',
      '/users/login/',
      '/users/refresh/',
      '/users/logout/',
      '/users/forgot-password/',
      '/users/reset-password/',
      '/content/add-favorite/',
      '/nothing/',
    ]) {
      const reply = await viewer.post(path, {}, { headers: { origin } })
      expect([path, reply.status, await reply.json()]).toEqual([
        path,
        403,
        { detail: 'Requests from this origin are not allowed.' },
      ])
      expect(reply.headers.getSetCookie()).toEqual([])
    }
    for (const method of ['PUT', 'PATCH', 'DELETE']) {
      const reply = await viewer.request('/admin/api/videos/1/', { method, headers: { origin } })
      expect(reply.status).toBe(403)
    }
    // They were turned away, not let go on: the session lives.
    expect((await viewer.get('/content/')).status).toBe(200)
  })

  test('is believed to be foreign when its browser says so', async () => {
    const logout = async (site: string) => {
      const headers = { 'sec-fetch-site': site }
      return (await app.client().post('/users/logout/', undefined, { headers })).status
    }
    expect(await logout('cross-site')).toBe(403)
    expect(await logout('same-site')).toBe(403)
    expect(await logout('same-origin')).toBe(200)
    expect(await logout('none')).toBe(200)
  })

  test('that is ours, on the list or trusted may change things', async () => {
    for (const origin of [CLIENT, TRUSTED, app.origin]) {
      const reply = await app.client().post('/users/logout/', undefined, { headers: { origin } })
      expect([origin, reply.status]).toEqual([origin, 200])
    }
    expect((await app.client().post('/users/logout/')).status).toBe(200)
  })

  test('may read without cookies only, when the settings say so', async () => {
    await using careful = await startApp({
      env: { CORS_ALLOWED_ORIGINS: CLIENT, CORS_ALLOW_CREDENTIALS: 'False' },
    })
    const reply = await careful.client().get('/health/', { headers: { origin: CLIENT } })
    expect(corsHeaders(reply)).toEqual({ 'access-control-allow-origin': CLIENT })
  })
})

test('only known host names are answered to', async () => {
  await using app = await startApp({ env: { ALLOWED_HOSTS: 'films.example.com,.example.org' } })
  const statusFor = (host: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      request(`${app.origin}/health/`, { headers: { host }, agent: false }, (reply) => {
        reply.resume()
        resolve(reply.statusCode)
      })
        .on('error', reject)
        .end()
    })
  for (const host of [
    'films.example.com',
    'Films.Example.COM:8443',
    'example.org',
    'a.b.example.org',
  ]) {
    expect([host, await statusFor(host)]).toEqual([host, 200])
  }
  for (const host of [
    'evil.example',
    'films.example.com.evil.example',
    'badexample.org',
    'a@films.example.com',
    'films.example.com/x',
    'films.example.com:x',
    'films.example.com, evil.example',
    '127.0.0.1',
    '',
  ]) {
    expect([host, await statusFor(host)]).toEqual([host, 400])
  }
})
