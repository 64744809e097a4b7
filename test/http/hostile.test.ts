import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'

describe.each(BACKENDS)('hostile requests, on %s', (backend) => {
  let app: TestApp
  beforeAll(async () => {
    app = await startApp({ backend })
  })
  afterAll(() => app.stop())

  /** Sends bytes as they are, and gives the status line and the body of the answer. */
  function send(text: string): Promise<{ status: number; body: string }> {
    return new Promise((resolve, reject) => {
      const socket = connect(app.settings.listen.port, '127.0.0.1')
      let answer = ''
      socket.setEncoding('latin1')
      socket.on('data', (chunk: string) => (answer += chunk))
      socket.on('error', reject)
      socket.on('close', () => {
        const [head = '', body = ''] = answer.split('\r\n\r\n')
        resolve({ status: Number(head.split(' ')[1]), body })
      })
      socket.write(text, 'latin1')
    })
  }
  const head = (first: string, ...lines: string[]) =>
    [
      first,
      `Host: 127.0.0.1:${app.settings.listen.port}`,
      'Connection: close',
      ...lines,
      '',
      '',
    ].join('\r\n')

  test.each([
    ['an unknown method', () => head('BREW /content/ HTTP/1.1'), 400],
    ['an unknown version', () => head('GET / HTTP/9.9'), 400],
    ['no HTTP at all', () => '\x16\x03\x01\x02\x00\r\n\r\n', 400],
    ['a huge header', () => head('GET / HTTP/1.1', `X: ${'a'.repeat(100_000)}`), 431],
    [
      'ten thousand headers',
      () => head('GET / HTTP/1.1', ...Array.from({ length: 10_000 }, (_, at) => `X-${at}: 1`)),
      431,
    ],
    ['a raw byte in the path', () => head('GET /content\xe4 HTTP/1.1'), 400],
    [
      'two lengths',
      () => head('POST /users/login/ HTTP/1.1', 'Content-Length: 1', 'Content-Length: 2'),
      400,
    ],
    [
      'a length and chunks',
      () =>
        head('POST /users/login/ HTTP/1.1', 'Content-Length: 5', 'Transfer-Encoding: chunked') +
        '0\r\n\r\n',
      400,
    ],
  ])('%s is refused in words', async (_what, request, status) => {
    const answer = await send(request())
    expect(answer.status).toBe(status)
    expect(JSON.parse(answer.body)).toEqual({ detail: expect.any(String) as string })
  })

  test.each([
    'TRACE /content/',
    'PROPFIND /content/',
    'OPTIONS *',
    'GET http://evil.example/content/',
    'GET /content/%00/',
    'GET /content/..%2f..%2fetc%2fpasswd/',
    'GET /assets/..%2f..%2fpackage.json',
    'GET /docs/assets/../../package.json',
    'GET /assets/%00',
    'GET /assets/nothing',
    'GET /docs/assets/package.json',
    'GET /media/%00',
    'GET /media/../../etc/passwd',
  ])('%s is refused and crashes nothing', async (line) => {
    const { status } = await send(head(`${line} HTTP/1.1`))
    expect(status).toBeGreaterThanOrEqual(400)
    expect(status).toBeLessThan(500)
  })

  test('no cookie or query, however odd, is an internal error', async () => {
    const odd = ['%', '%00', '%ff', '"', '\\', '=', ';;', '__proto__', 'a'.repeat(8000), '{}', '[]']
    for (const text of odd) {
      const query = encodeURIComponent(text)
      const headers = {
        cookie: `vf_access=${text}; vf_refresh=${text}; ${text}`,
        'user-agent': text,
        'accept-encoding': text,
        'if-none-match': text,
      }
      for (const path of [
        `/content/?${query}`,
        `/content/${query}/`,
        `/content/video-url/${query}/?quality=${query}`,
        `/users/confirm/?uid=${query}&token=${query}`,
        `/users/email-exists/?email=${query}&email[${query}]=1`,
      ]) {
        const { status } = await app.client().get(path, { headers })
        expect([path, status < 500]).toEqual([path, true])
      }
      for (const path of ['/users/refresh/', '/users/logout/', '/users/login/']) {
        const { status } = await app
          .client()
          .post(path, { email: text, password: text }, { headers })
        expect([path, text, status < 500]).toEqual([path, text, true])
      }
    }
    expect(app.logs.filter(({ msg }) => msg === 'internal error')).toEqual([])
  })

  test('nothing may frame, sniff or embed scripts', async () => {
    const { headers } = await app.client().get('/content/')
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
    expect(headers.get('referrer-policy')).toBe('no-referrer')
    expect(headers.get('cross-origin-resource-policy')).toBe('cross-origin')
    expect(headers.get('x-powered-by')).toBeNull()
    expect(headers.get('server')).toBeNull()
  })
})
