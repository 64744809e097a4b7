import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS } from '../harness/app.ts'
import { startServer, type ServerProcess } from '../harness/process.ts'
import { startServices, type Services } from '../harness/services.ts'
import { cpuMs, residentMb } from './process-usage.ts'
import { head, jsonRequest, sendRaw, type RawReply } from './raw.ts'
import { ADMIN, OPEN_ENV, signIn } from './servers.ts'
import { median } from './statistics.ts'

/**
 * CPU of the server, as the machine may be busy with others. Nearly all take ten; a hundred thousand chunks, which
 * Node.js hands out one by one, take 120.
 */
const QUICK_CPU_MS = 300
const JSON_TYPE = 'Content-Type: application/json'
const CHUNKED = 'Transfer-Encoding: chunked'
/** Whoever reads the bytes otherwise than we do sees a second request in them. */
const SMUGGLED = 'GET /admin/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'

/** The one that is attacked now. */
let server: ServerProcess
let port: number
let cookie: string

const login = (body: string, ...lines: string[]) =>
  jsonRequest(port, '/users/login/', body, ...lines)
const chunked = (...chunks: string[]) =>
  head(port, 'POST /users/logout/', JSON_TYPE, CHUNKED) + chunks.join('')
const form = (body: string, type = 'multipart/form-data; boundary=x') =>
  head(
    port,
    'POST /admin/api/videos/',
    cookie,
    `Content-Type: ${type}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
  ) + body
const part = (lines: string, content = 'x') => `--x\r\n${lines}\r\n\r\n${content}\r\n`
const FILE = 'Content-Disposition: form-data; name="video_file"; filename="a.mp4"'

const HUGE: [string, () => string | Buffer, number[]][] = [
  ['deep lists', () => login(`{"email":${'['.repeat(31_000)}${']'.repeat(31_000)}}`), [400]],
  ['deep objects', () => login(`${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`), [400]],
  ['deep lists that never close', () => login('['.repeat(60_000)), [400]],
  ['a list of sixty thousand', () => login(`[${'1,'.repeat(30_000)}1]`), [400]],
  ['twelve thousand keys', () => login(`{${manyKeys(6000)}"email":"a@example.com"}`), [400]],
  ['one key six thousand times', () => login(`{${'"email":"a",'.repeat(5000)}"email":"b"}`), [400]],
  ['a number of sixty thousand digits', () => login(`{"email":${'9'.repeat(60_000)}}`), [400]],
  ['an exponent without end', () => login('{"email":1e999999999}'), [400]],
  ['six thousand escapes', () => login(`{"email":"${'\\u0061'.repeat(10_000)}"}`), [400]],
  ['backslashes', () => login(`{"email":"${'\\\\'.repeat(30_000)}"}`), [400]],
  ['sixty thousand combining marks', () => login(`{"email":"a${'\u0301'.repeat(30_000)}"}`), [400]],
  [
    'one letter that becomes eighteen',
    () => login(`{"email":"${'\ufdfa'.repeat(20_000)}@example.com","password":"x"}`),
    [400],
  ],
  [
    'an address for a slow expression',
    () => login(`{"email":"${'a.'.repeat(30_000)}@","password":"x"}`),
    [400],
  ],
  [
    'a domain for a slow expression',
    () => login(`{"email":"a@${'a-'.repeat(120)}","password":"x"}`),
    [400],
  ],
  ['a prototype', () => login('{"__proto__":{"isSuperuser":true}}'), [400]],
  ['a hidden prototype', () => login('{"\\u005f_proto__":{"isSuperuser":true}}'), [400]],
  ['a nested prototype', () => login('{"email":{"__proto__":{"x":1}}}'), [400]],
  ['a constructor', () => login('{"constructor":{"prototype":{"x":1}}}'), [400]],
  ['a megabyte of JSON', () => login(`{"email":"${'a'.repeat(1_000_000)}"}`), [413]],
  [
    'a megabyte of cookies',
    () => head(port, 'GET /content/', `Cookie: ${'a=b; '.repeat(200_000)}`),
    [431],
  ],
  [
    'fifteen kilobytes of cookies',
    () => head(port, 'GET /users/me/', `Cookie: ${'a=b; '.repeat(3000)}`),
    [401],
  ],
  [
    'three thousand access cookies',
    () => head(port, 'GET /users/me/', `Cookie: ${'vf_access=a;'.repeat(1200)}`),
    [401],
  ],
  [
    'ten thousand headers',
    () => head(port, 'GET /health/', ...Array.from({ length: 10_000 }, (_, at) => `A${at}: 1`)),
    [431],
  ],
  [
    'ten thousand empty ones',
    () => head(port, 'GET /health/', ...Array.from({ length: 10_000 }, () => 'a:')),
    [431],
  ],
  ['a URL of a hundred kilobytes', () => head(port, `GET /${'a'.repeat(100_000)}`), [431, 414]],
  ['a URL of slashes', () => head(port, `GET ${'/'.repeat(12_000)}`), [404]],
  ['a URL of dots', () => head(port, `GET ${'/..'.repeat(4000)}`), [404]],
  ['a URL of percent signs', () => head(port, `GET /content/${'%25'.repeat(4000)}/`), [404]],
  [
    'four thousand parameters',
    () => head(port, `GET /users/email-exists/?${'email=a&'.repeat(1500)}`),
    [400],
  ],
  [
    'ranges',
    () => head(port, 'GET /assets/admin.css', `Range: bytes=${'0-0,'.repeat(3000)}`),
    [200, 206, 404, 416],
  ],
  [
    'languages',
    () => head(port, 'GET /content/', `Accept: ${'text/html;q=0.1,'.repeat(900)}`),
    [401],
  ],
]

const BROKEN: [string, () => string | Buffer, number[]][] = [
  [
    'a length that is too long, and the end',
    () => login('{}').replace('Length: 2', 'Length: 20000'),
    [],
  ],
  [
    'a length that is no number',
    () => head(port, 'POST /users/logout/', 'Content-Length: two') + '{}',
    [400],
  ],
  [
    'a length below zero',
    () => head(port, 'POST /users/logout/', 'Content-Length: -2') + '{}',
    [400],
  ],
  [
    'a length with a sign',
    () => head(port, 'POST /users/logout/', 'Content-Length: +2') + '{}',
    [400],
  ],
  [
    'a length in hexadecimal',
    () => head(port, 'POST /users/logout/', 'Content-Length: 0x2') + '{}',
    [400],
  ],
  [
    'a list of lengths',
    () => head(port, 'POST /users/logout/', 'Content-Length: 2, 2') + '{}',
    [400],
  ],
  [
    'two lengths',
    () => head(port, 'POST /users/logout/', 'Content-Length: 2', 'Content-Length: 3') + '{}',
    [400],
  ],
  [
    'a length beyond numbers',
    () => head(port, 'POST /users/logout/', `Content-Length: ${'9'.repeat(40)}`),
    [400],
  ],
  [
    'a length of ten gigabytes',
    () => head(port, 'POST /users/login/', JSON_TYPE, 'Content-Length: 9999999999') + '{',
    [413],
  ],
  [
    'a length before chunks',
    () => head(port, 'POST /users/logout/', 'Content-Length: 5', CHUNKED) + `0\r\n\r\n${SMUGGLED}`,
    [400],
  ],
  [
    'chunks before a length',
    () => head(port, 'POST /users/logout/', CHUNKED, 'Content-Length: 5') + `0\r\n\r\n${SMUGGLED}`,
    [400],
  ],
  [
    'chunks twice',
    () => head(port, 'POST /users/logout/', CHUNKED, CHUNKED) + `0\r\n\r\n`,
    [400, 200, 415],
  ],
  [
    'chunks, then not',
    () =>
      head(port, 'POST /users/logout/', CHUNKED, 'Transfer-Encoding: identity') +
      `0\r\n\r\n${SMUGGLED}`,
    [400],
  ],
  [
    'an unknown coding',
    () => head(port, 'POST /users/logout/', 'Transfer-Encoding: xchunked') + `0\r\n\r\n${SMUGGLED}`,
    [400, 415],
  ],
  [
    'a coding after chunks',
    () =>
      head(port, 'POST /users/logout/', 'Transfer-Encoding: chunked, gzip') +
      `0\r\n\r\n${SMUGGLED}`,
    [400, 415],
  ],
  [
    'a space before the colon',
    () => head(port, 'POST /users/logout/', 'Transfer-Encoding : chunked') + `0\r\n\r\n${SMUGGLED}`,
    [400],
  ],
  [
    'a folded header',
    () =>
      head(port, 'POST /users/logout/', 'Transfer-Encoding:\r\n chunked') + `0\r\n\r\n${SMUGGLED}`,
    [400],
  ],
  ['a line that ends early', () => `GET /health/ HTTP/1.1\nHost: 127.0.0.1:${port}\n\n`, [400]],
  [
    'a bare carriage return',
    () => head(port, 'GET /health/', 'X: a\rTransfer-Encoding: chunked'),
    [400],
  ],
  ['a NUL in a header', () => head(port, 'GET /health/', 'X: a\0b'), [400]],
  ['a header without a name', () => head(port, 'GET /health/', ': x'), [400]],
  ['a header without a colon', () => head(port, 'GET /health/', 'nonsense'), [400]],
  ['a chunk size that is none', () => chunked('zz\r\n{}\r\n0\r\n\r\n'), [400]],
  ['a chunk size below zero', () => chunked('-2\r\n{}\r\n0\r\n\r\n'), [400]],
  ['a chunk size beyond numbers', () => chunked(`${'F'.repeat(20)}\r\n{}`), [400]],
  ['a chunk longer than it says', () => chunked('1\r\n{}\r\n0\r\n\r\n'), [400]],
  [
    'a chunk extension of twenty kilobytes',
    () => chunked(`2;${'a'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n`),
    [400, 413],
  ],
  [
    'twenty thousand trailers',
    () => chunked('2\r\n{}\r\n0\r\n', 'X: y\r\n'.repeat(20_000), '\r\n'),
    [431],
  ],
  [
    'a hundred thousand chunks of a byte',
    () => login('').replace('Content-Length: 0', CHUNKED) + '1\r\n \r\n'.repeat(100_000),
    [413],
  ],
  ['no Host', () => 'GET /health/ HTTP/1.1\r\n\r\n', [400]],
  ['two Hosts', () => head(port, 'GET /health/', `Host: 127.0.0.1:${port}`), [400]],
  [
    'two Hosts, ours the second',
    () => `GET /health/ HTTP/1.1\r\nHost: evil.example\r\nHost: 127.0.0.1\r\n\r\n`,
    [400],
  ],
  ['HTTP/0.9', () => 'GET /health/\r\n\r\n', [400]],
  ['HTTP/2', () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400]],
  ['TLS', () => Buffer.from('16030100c8010000c40303', 'hex'), [400]],
  ['SSH', () => 'SSH-2.0-OpenSSH_9.0\r\n', [400]],
  ['a tunnel', () => head(port, 'CONNECT evil.example:443'), []],
  ['TRACE', () => head(port, 'TRACE /health/'), [400, 404, 405]],
  ['an odd method', () => head(port, 'A'.repeat(10_000)), [400]],
  [
    'an expectation',
    () => head(port, 'POST /users/login/', 'Expect: the-moon', 'Content-Length: 2') + '{}',
    [417],
  ],
  ['a form without a boundary', () => form('x', 'multipart/form-data'), [400]],
  ['a form with an empty boundary', () => form('x', 'multipart/form-data; boundary='), [400]],
  ['a form that is empty', () => form(''), [400]],
  ['a form without its end', () => form(part(FILE)), [400]],
  ['a form that ends at once', () => form('--x--\r\n'), [400]],
  ['a form of boundaries', () => form('--x\r\n'.repeat(10_000)), [400]],
  ['a part without headers', () => form('--x\r\n\r\nx\r\n--x--\r\n'), [400]],
  [
    'a part with huge headers',
    () => form(`${part(`X: ${'a'.repeat(100_000)}`)}--x--\r\n`),
    [400, 413],
  ],
  [
    'a part with a thousand headers',
    () => form(`${part(`${'X: y\r\n'.repeat(5000)}${FILE}`)}--x--\r\n`),
    [400, 413],
  ],
  [
    'ten thousand parts',
    () => form(`${part('Content-Disposition: form-data; name="a"').repeat(10_000)}--x--\r\n`),
    [400, 413],
  ],
  [
    'a prototype as a part',
    () => form(`${part('Content-Disposition: form-data; name="__proto__"')}--x--\r\n`),
    [400],
  ],
  [
    'a part without a name',
    () => form(`${part('Content-Disposition: form-data')}--x--\r\n`),
    [400],
  ],
  [
    'a name of a hundred kilobytes',
    () => form(`${part(`Content-Disposition: form-data; name="${'a'.repeat(70_000)}"`)}--x--\r\n`),
    [400, 413],
  ],
]

describe.each(BACKENDS)('a server on %s', (backend) => {
  let services: Services
  beforeAll(async () => {
    services = await startServices(backend)
    server = await startServer({ env: { ...OPEN_ENV, ...services.env } })
    port = server.port
    const superuser = await signIn(server.url, ADMIN)
    cookie = `Cookie: ${[...superuser.cookies].map((pair) => pair.join('=')).join('; ')}`
  })
  afterAll(async () => {
    await server.stop()
    await services.stop()
  })

  test.each([...HUGE, ...BROKEN])('%s', async (_what, bytes, statuses) => {
    const request = bytes()
    const before = cpuMs(server.pid)
    const reply = await sendRaw(port, request, {
      answers: 1,
      withinMs: statuses.length > 0 ? 8000 : 300,
    })
    expect(isRefusal(reply, statuses)).toBe(true)
    expect(cpuMs(server.pid) - before).toBeLessThan(QUICK_CPU_MS)
    expect((await fetch(`${server.url}/health/`)).status).toBe(200)
  })

  test('none of it was an internal error', () => {
    expect(server.output()).not.toContain('internal error')
  })

  test('a request that hides in another is never answered', async () => {
    const smuggling = BROKEN.filter(([, bytes]) => bytes().includes(SMUGGLED))
    expect(smuggling.length).toBeGreaterThan(5)
    for (const [what, bytes] of smuggling) {
      const { text } = await sendRaw(port, bytes(), { withinMs: 300 })
      expect([what, text.includes('Content-Type: text/html'), text.includes('<html')]).toEqual([
        what,
        false,
        false,
      ])
    }
  })

  test('a hundred requests in one packet are answered in order', async () => {
    const ask = head(port, 'GET /health/') + head(port, 'GET /nowhere/')
    const { statuses } = await sendRaw(port, ask.repeat(50), { answers: 100 })
    expect(statuses).toEqual(Array.from({ length: 50 }, () => [200, 404]).flat())
  })

  // None of it gets as far as to the database.
  test.runIf(backend === 'sqlite')(
    'all of it, again and again, leaves the memory as it was',
    async () => {
      const round = async () => {
        for (const [, bytes, statuses] of [...HUGE, ...BROKEN]) {
          if (statuses.length > 0) await sendRaw(port, bytes(), { answers: 1, withinMs: 3000 })
        }
      }
      const first = residentMb(server.pid)
      const memory: number[] = []
      for (let number = 0; number < 8; number += 1) {
        await Promise.all([round(), round(), round()])
        memory.push(residentMb(server.pid))
      }
      // Garbage is collected late, and by leaps; what leaks grows every time, and by as much.
      const growth = memory.slice(1).map((mb, at) => mb - (memory[at] ?? 0))
      expect(median(growth)).toBeLessThan(15)
      expect((memory.at(-1) ?? 0) - first).toBeLessThan(250)
    },
  )
})

function isRefusal(reply: RawReply, statuses: number[]): boolean {
  const [status] = reply.statuses
  if (statuses.length === 0) return status === undefined
  // Whoever is still sending may find the connection reset before the answer is read.
  return status === undefined ? reply.isClosed : statuses.includes(status)
}

function manyKeys(count: number): string {
  return Array.from({ length: count }, (_, at) => `"k${at}":1,`).join('')
}
