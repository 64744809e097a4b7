import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aSignedInPerson, type Person } from '../accounts/person.ts'
import { startApp, SUPERUSER, type TestApp } from '../harness/app.ts'

const CLIENT = 'https://films.example.com'

/** What a browser, or somebody who pretends to be one, may say about the page that asks. */
const HOSTILE = [
  'null',
  'NULL',
  '',
  '*',
  'https://',
  'https:',
  'films.example.com',
  '//films.example.com',
  'http://films.example.com',
  'ws://films.example.com',
  'wss://films.example.com',
  'https://films.example.com:443',
  'https://films.example.com:8443',
  'https://films.example.com:80',
  'https://films.example.com/',
  'https://films.example.com/login',
  'https://films.example.com?x',
  'https://films.example.com#x',
  'https://films.example.com.',
  'https://FILMS.example.com',
  'HTTPS://films.example.com',
  'https://films.example.com.evil.example',
  'https://evilfilms.example.com',
  'https://evil.films.example.com',
  'https://films.example.comevil.example',
  'https://films-example.com',
  'https://filmsXexample.com',
  'https://films.example.com@evil.example',
  'https://evil.example@films.example.com',
  'https://user:password@films.example.com',
  'https://films.example.com\\@evil.example',
  'https://films.example.com%00.evil.example',
  'https://films.example.com%2eevil.example',
  'https://films.exämple.com',
  'https://xn--films-example-com.example',
  'https://ﬁlms.example.com',
  'https://[::1]',
  'http://127.0.0.1',
  'http://127.0.0.1:1',
  'http://localhost',
  'http://localhost:4200',
  'http://0.0.0.0',
  'file://',
  'file:///etc/passwd',
  'data:text/html,x',
  'blob:https://films.example.com/0',
  'chrome-extension://abcdefghijklmnop',
  'moz-extension://abcdefghijklmnop',
  'capacitor://localhost',
  'about:blank',
  'https://films.example.com https://evil.example',
  'https://evil.example, https://films.example.com',
  'https://evil.example\thttps://films.example.com',
]

const UNSAFE: [string, string, object?][] = [
  ['POST', '/users/login/', SUPERUSER],
  ['POST', '/users/register/', { email: 'eve@example.com' }],
  ['POST', '/users/refresh/'],
  ['POST', '/users/logout/'],
  ['POST', '/users/forgot-password/', { email: SUPERUSER.email }],
  ['POST', '/users/reset-password/', {}],
  ['POST', '/users/me/password/', {}],
  ['POST', '/content/add-favorite/', { video_id: 1 }],
  ['PATCH', '/users/me/', { phone: '666' }],
  ['PUT', '/users/me/totp/', { code: '123456' }],
  ['DELETE', '/users/me/sessions/'],
  ['POST', '/admin/api/uploads/'],
  ['POST', '/nowhere/'],
]

describe('pages that only look like ours', () => {
  let app: TestApp
  let person: Person
  beforeAll(async () => {
    app = await startApp({
      env: {
        ALLOWED_HOSTS: '127.0.0.1,api.films.example.com',
        CORS_ALLOWED_ORIGINS: CLIENT,
        CSRF_TRUSTED_ORIGINS: '',
        JWT_COOKIE_SECURE: 'False',
      },
    })
    person = await aSignedInPerson(app)
  })
  afterAll(() => app.stop())

  interface Answer {
    status: number
    headers: NodeJS.Dict<string | string[]>
  }
  /** As Node.js sends it: `fetch` would drop or mend some of these. */
  function ask(
    method: string,
    path: string,
    headers: Record<string, string>,
    body?: object,
  ): Promise<Answer> {
    const text = body === undefined ? undefined : JSON.stringify(body)
    return new Promise((resolve, reject) => {
      const cookie = [...person.client.cookies].map((pair) => pair.join('=')).join('; ')
      const type = text === undefined ? {} : { 'content-type': 'application/json' }
      const options = { method, agent: false, headers: { cookie, ...type, ...headers } }
      request(`${app.origin}${path}`, options, (reply) => {
        reply.resume()
        resolve({ status: reply.statusCode ?? 0, headers: reply.headers })
      })
        .on('error', reject)
        .end(text)
    })
  }
  /** As bytes: a header is no text. */
  const asHeader = (text: string) => Buffer.from(text).toString('latin1')
  const corsOf = ({ headers }: Answer) =>
    Object.keys(headers).filter((name) => name.startsWith('access-control-'))
  const stateOf = async () =>
    JSON.stringify([
      await app.app.db.selectFrom('users').selectAll().execute(),
      await app.app.db.selectFrom('sessions').selectAll().execute(),
      await app.app.db.selectFrom('links').selectAll().execute(),
      await app.app.db.selectFrom('tasks').select('id').execute(),
      await app.app.db.selectFrom('audit').selectAll().execute(),
    ])

  test('the right page may do it all: what follows fails for its origin alone', async () => {
    expect((await ask('PATCH', '/users/me/', { origin: CLIENT }, { phone: '1' })).status).toBe(200)
    expect((await ask('POST', '/users/login/', { origin: CLIENT }, SUPERUSER)).status).toBe(200)
    expect((await ask('POST', '/users/logout/', { cookie: '', origin: app.origin })).status).toBe(
      200,
    )
  })

  test.each(HOSTILE)('of the origin “%s” change nothing and read nothing', async (text) => {
    const origin = asHeader(text)
    const before = await stateOf()
    for (const [method, path, body] of UNSAFE) {
      const host = 'api.films.example.com'
      for (const headers of [
        { origin },
        { origin, host },
        { origin, 'sec-fetch-site': 'same-origin' },
      ]) {
        const reply = await ask(method, path, headers, body)
        expect([method, path, reply.status]).toEqual([method, path, 403])
        expect(corsOf(reply)).toEqual([])
        expect(reply.headers['set-cookie']).toBeUndefined()
      }
    }
    for (const path of ['/users/me/', '/content/', '/health/']) {
      expect(corsOf(await ask('GET', path, { origin }))).toEqual([])
      const preflight = { origin, 'access-control-request-method': 'POST' }
      expect(corsOf(await ask('OPTIONS', path, preflight))).toEqual([])
    }
    expect(await stateOf()).toBe(before)
  })

  test('that hide where they come from are known by what the browser says', async () => {
    for (const site of ['cross-site', 'same-site', 'CROSS-SITE', '', 'none, same-origin', 'x']) {
      const reply = await ask('POST', '/users/login/', { 'sec-fetch-site': site }, SUPERUSER)
      expect([site, reply.status]).toEqual([site, 403])
    }
  })

  test('cannot send what a form can send', async () => {
    const email = encodeURIComponent(SUPERUSER.email)
    for (const type of [
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'text/plain',
      'text/plain; application/json',
      'application/json-patch+json',
      'application/jsonp',
      'text/json',
      '',
    ]) {
      const reply = await fetch(`${app.origin}/users/login/`, {
        method: 'POST',
        headers: { 'content-type': type },
        body: `{"email":"${SUPERUSER.email}","password":"${SUPERUSER.password}","x":"=${email}"}`,
      })
      expect([type, reply.status]).toEqual([type, 415])
    }
  })

  test('cannot choose the method by a header or the query', async () => {
    const before = await stateOf()
    for (const name of ['x-http-method-override', 'x-http-method', 'x-method-override']) {
      await ask('GET', '/users/me/sessions/?_method=DELETE', { [name]: 'DELETE' })
    }
    expect(await stateOf()).toBe(before)
  })
})
