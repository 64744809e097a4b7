import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'

const JSON_TYPE = { 'content-type': 'application/json' }
/** Whatever they answer, these read a body. */
const READING = [
  '/users/register/',
  '/users/login/',
  '/users/forgot-password/',
  '/users/reset-password/',
  '/content/add-favorite/',
]

describe.each(BACKENDS)('errors, on %s', (backend) => {
  let app: TestApp
  let viewer: Client
  beforeAll(async () => {
    app = await startApp({ backend })
    viewer = await app.viewer()
  })
  afterAll(() => app.stop())

  const post = (path: string, body: string | Buffer, headers: Record<string, string> = JSON_TYPE) =>
    viewer.request(path, { method: 'POST', body, headers })
  const answer = async (reply: Response) => [reply.status, await reply.json()]

  describe.each(READING)('POST %s', (path) => {
    test.each([
      '{',
      '{"a":}',
      'nonsense',
      '{"__proto__":{"a":1}}',
      '{"constructor":{"prototype":1}}',
    ])('cannot read %s', async (body) => {
      const reply = await post(path, body)
      expect(reply.status).toBe(400)
      expect(await reply.json()).toEqual({
        detail: expect.stringMatching(/^JSON parse error - ./) as string,
      })
    })

    test.each([
      ['[]', 'list'],
      ['["email"]', 'list'],
      ['"text"', 'str'],
      ['5', 'int'],
      ['1.5', 'float'],
      ['true', 'bool'],
      ['null', 'NoneType'],
    ])('expects no %s', async (body, type) => {
      const message = `Invalid data. Expected a dictionary, but got ${type}.`
      expect(await answer(await post(path, body))).toEqual([400, { non_field_errors: [message] }])
    })

    test.each([
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
    ])('takes no %s', async (type) => {
      const reply = await post(path, 'email=a@example.com', { 'content-type': type })
      expect(await answer(reply)).toEqual([
        415,
        { detail: `Unsupported media type "${type}" in request.` },
      ])
    })

    test('takes JSON however its type is written, and no body for an empty one', async () => {
      for (const type of ['application/json; charset=utf-8', 'Application/JSON']) {
        expect((await post(path, '{}', { 'content-type': type })).status).toBe(400)
        expect(await answer(await post(path, '', { 'content-type': type }))).toEqual(
          await answer(await post(path, '{}')),
        )
      }
      expect(await answer(await viewer.post(path))).toEqual(await answer(await post(path, '{}')))
    })

    test('takes no bytes that are not UTF-8', async () => {
      const body = Buffer.concat([Buffer.from('{"password":"'), Buffer.of(0xff), Buffer.from('"}')])
      expect(await answer(await post(path, body))).toEqual([
        400,
        { detail: 'JSON parse error - the body is not UTF-8' },
      ])
    })

    test('takes nothing huge or very deep', async () => {
      const huge = await post(path, JSON.stringify({ email: 'a'.repeat(70_000) }))
      expect(await answer(huge)).toEqual([
        413,
        { detail: 'The body is larger than is accepted here.' },
      ])
      const deep = await post(path, `{"email":${'['.repeat(30_000)}${']'.repeat(30_000)}}`)
      expect(deep.status).toBe(400)
    })
  })

  test('a path that is nowhere is 404, for every method', async () => {
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
      for (const path of [
        '/nothing/',
        '/nothing',
        '/users/',
        '/content/1/2/',
        '/%zz/',
        '//content/',
      ]) {
        const reply = await app.client().request(path, { method })
        expect([method, path, ...(await answer(reply))]).toEqual([
          method,
          path,
          404,
          { detail: 'Not found.' },
        ])
        expect(reply.headers.get('vary')).toBe('Origin')
      }
    }
    expect((await viewer.get(`/content/${'1'.repeat(5000)}/`)).status).toBe(404)
  })

  test.each([
    ['GET', '/users/login/', 'POST, OPTIONS'],
    ['PUT', '/users/login/', 'POST, OPTIONS'],
    ['HEAD', '/users/logout/', 'POST, OPTIONS'],
    ['GET', '/users/register/', 'POST, OPTIONS'],
    ['DELETE', '/users/refresh/', 'POST, OPTIONS'],
    ['POST', '/users/confirm/', 'GET, HEAD, OPTIONS'],
    ['POST', '/users/email-exists/', 'GET, HEAD, OPTIONS'],
    ['POST', '/health/', 'GET, HEAD, OPTIONS'],
  ])('%s %s is a wrong method', async (method, path, allow) => {
    const reply = await app.client().request(path, { method })
    expect([reply.status, reply.headers.get('allow')]).toEqual([405, allow])
    if (method === 'HEAD') return
    expect(await reply.json()).toEqual({ detail: `Method "${method}" not allowed.` })
  })

  test.each([
    ['POST', '/content/', 'GET, HEAD, OPTIONS'],
    ['DELETE', '/content/1/', 'GET, HEAD, OPTIONS'],
    ['GET', '/content/add-favorite/', null],
    ['PUT', '/content/add-favorite/', null],
    ['POST', '/content/video-url/1/', 'GET, HEAD, OPTIONS'],
  ])(
    '%s %s asks who it is before it says that the method is wrong',
    async (method, path, allow) => {
      const stranger = await app.client().request(path, { method })
      expect(await answer(stranger)).toEqual([
        401,
        { detail: 'Authentication credentials were not provided.' },
      ])
      const reply = await viewer.request(path, { method })
      if (allow === null) return
      expect([reply.status, reply.headers.get('allow')]).toEqual([405, allow])
      expect(await reply.json()).toEqual({ detail: `Method "${method}" not allowed.` })
    },
  )

  test.each(['GET', 'HEAD', 'POST'])(
    '%s without the slash is sent to the path with it',
    async (method) => {
      for (const [path, location] of [
        ['/content', '/content/'],
        ['/content?a=1&b=%2F&c=?', '/content/?a=1&b=%2F&c=?'],
        ['/content/5?x', '/content/5/?x'],
        ['/users/login', '/users/login/'],
        ['/users/confirm?uid=1&token=x', '/users/confirm/?uid=1&token=x'],
        ['/health', '/health/'],
        ['/admin', '/admin/'],
      ] as const) {
        const reply = await app.client().request(path, { method })
        expect([path, reply.status, reply.headers.get('location')]).toEqual([path, 301, location])
      }
    },
  )

  test('the catalogue knows no such video', async () => {
    for (const id of [
      '0',
      '999',
      '999999999999999',
      '99999999999999999999',
      'x',
      '-1',
      '1e3',
      '1.5',
    ]) {
      expect(await answer(await viewer.get(`/content/${id}/`))).toEqual([
        404,
        { detail: 'Not found.' },
      ])
      expect(await answer(await viewer.get(`/content/video-url/${id}/?quality=720p`))).toEqual([
        404,
        { detail: 'Video not found' },
      ])
    }
  })
})
