import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { startApp, type TestApp } from '../harness/app.ts'

const TWO = { RATE_LIMIT_FORGOT: '2/min' }
const BODY = '{"email":"nobody@example.com"}'
type Lines = string[]

/** As raw lines, so that a header may come twice. */
function forgot({ settings }: TestApp, lines: Lines, host = '127.0.0.1'): Promise<number> {
  const { port } = settings.listen
  return new Promise((resolve, reject) => {
    const socket = connect(port, host)
    let answer = ''
    socket.on('data', (chunk) => (answer += chunk.toString()))
    socket.on('error', reject)
    socket.on('close', () => resolve(Number(answer.split(' ')[1])))
    socket.write(
      [
        'POST /users/forgot-password/ HTTP/1.1',
        `Host: 127.0.0.1:${port}`,
        'Connection: close',
        'Content-Type: application/json',
        `Content-Length: ${BODY.length}`,
        ...lines,
        '',
        BODY,
      ].join('\r\n'),
    )
  })
}

/** Statuses of requests one after the other. */
async function inTurn(app: TestApp, requests: Lines[]): Promise<number[]> {
  const statuses: number[] = []
  for (const lines of requests) statuses.push(await forgot(app, lines))
  return statuses
}
const xff = (value: string): Lines => [`X-Forwarded-For: ${value}`]
/** The third of three that are counted as one is sent away. */
const ONE_CLIENT = [200, 200, 429]
const THREE_CLIENTS = [200, 200, 200]

describe('without trusted proxies a client is its connection', () => {
  test.each<[string, (at: number) => Lines]>([
    ['X-Forwarded-For', (at) => xff(`192.0.2.${at}`)],
    ['a chain in it', (at) => xff(`192.0.2.${at}, 127.0.0.1`)],
    ['two of them', (at) => [...xff(`192.0.2.${at}`), ...xff('127.0.0.1')]],
    ['X-Real-IP', (at) => [`X-Real-IP: 192.0.2.${at}`]],
    ['Forwarded', (at) => [`Forwarded: for=192.0.2.${at};proto=https`]],
    ['CF-Connecting-IP', (at) => [`CF-Connecting-IP: 192.0.2.${at}`]],
    ['True-Client-IP', (at) => [`True-Client-IP: 192.0.2.${at}`]],
    ['X-Client-IP', (at) => [`X-Client-IP: 192.0.2.${at}`]],
    ['X-Cluster-Client-IP', (at) => [`X-Cluster-Client-IP: 192.0.2.${at}`]],
    ['Fastly-Client-IP', (at) => [`Fastly-Client-IP: 192.0.2.${at}`]],
    ['X-Originating-IP', (at) => [`X-Originating-IP: [192.0.2.${at}]`]],
    ['X-Remote-Addr', (at) => [`X-Remote-Addr: 192.0.2.${at}`]],
    ['Via', (at) => [`Via: 1.1 192.0.2.${at}`]],
    ['another user agent', (at) => [`User-Agent: ${at}`]],
    ['another cookie', (at) => [`Cookie: vf_access=${at}; vf_refresh=${at}`]],
    ['another Authorization', (at) => [`Authorization: Bearer ${at}`]],
    ['another query', (at) => [`X-Original-URL: /?${at}`]],
  ])('whatever it says in %s', async (_what, lines) => {
    await using app = await startApp({ env: TWO })
    expect(await inTurn(app, [1, 2, 3].map(lines))).toEqual(ONE_CLIENT)
  })
})

describe('behind trusted proxies a client is the rightmost hop that is not one of them', () => {
  const PROXIES = { ...TWO, TRUSTED_PROXIES: '127.0.0.1,10.0.0.0/8,fd00::/8' }

  test.each<[string, (at: number) => Lines, number[]]>([
    ['a forged first hop', (at) => xff(`203.0.113.${at}, 192.0.2.1`), ONE_CLIENT],
    ['ten forged hops', (at) => xff(`${`203.0.113.${at}, `.repeat(10)}192.0.2.1`), ONE_CLIENT],
    ['a forged proxy before it', (at) => xff(`203.0.113.${at}, 10.0.0.1, 192.0.2.1`), ONE_CLIENT],
    ['a proxy after it', (at) => xff(`203.0.113.${at}, 192.0.2.1, 10.0.0.${at}`), ONE_CLIENT],
    [
      'a proxy of IPv6 after it',
      (at) => xff(`203.0.113.${at}, 192.0.2.1, fd00::${at}`),
      ONE_CLIENT,
    ],
    [
      'a mapped proxy after it',
      (at) => xff(`203.0.113.${at}, 192.0.2.1, ::ffff:10.0.0.${at}`),
      ONE_CLIENT,
    ],
    ['a forged line before', (at) => [...xff(`203.0.113.${at}`), ...xff('192.0.2.1')], ONE_CLIENT],
    ['white space and empty hops', (at) => xff(`203.0.113.${at},, ,\t192.0.2.1 `), ONE_CLIENT],
    ['words', (at) => xff(`unknown, _hidden${at}, 192.0.2.1`), ONE_CLIENT],
    ['IPv4 mapped into IPv6', (at) => xff(at === 2 ? '::ffff:192.0.2.1' : '192.0.2.1'), ONE_CLIENT],
    ['mapped, in hexadecimal', (at) => xff(at === 2 ? '::ffff:c000:201' : '192.0.2.1'), ONE_CLIENT],
    ['one IPv6 network', (at) => xff(`2001:db8:1:2:${at}:${at}:${at}:${at}`), ONE_CLIENT],
    [
      'one IPv6 address, spelled otherwise',
      (at) => xff(['', '2001:DB8::1', '2001:db8:0:0:0:0:0:1', '2001:0db8::0001'][at] ?? ''),
      ONE_CLIENT,
    ],
    [
      'other headers beside it',
      (at) => [...xff('192.0.2.1'), `X-Real-IP: 192.0.2.${at}`, `Forwarded: for=192.0.2.${at}`],
      ONE_CLIENT,
    ],
    ['no header at all', (at) => [`X-Real-IP: 192.0.2.${at}`], ONE_CLIENT],
    ['other clients', (at) => xff(`192.0.2.${at}`), THREE_CLIENTS],
    ['other mapped clients', (at) => xff(`::ffff:192.0.2.${at}`), THREE_CLIENTS],
    ['other IPv6 networks', (at) => xff(`2001:db8:1:${at}::1`), THREE_CLIENTS],
    ['ports behind it', (at) => xff(`192.0.2.1:${4000 + at}`), ONE_CLIENT],
    ['ports behind IPv6', (at) => xff(`[2001:db8::1]:${4000 + at}`), ONE_CLIENT],
    ['rubbish in its place', (at) => xff(`rubbish-${at}`), ONE_CLIENT],
    ['long rubbish', (at) => xff(`${at}${'x'.repeat(4000)}`), ONE_CLIENT],
  ])('%s', async (_what, lines, expected) => {
    await using app = await startApp({ env: PROXIES })
    expect(await inTurn(app, [1, 2, 3].map(lines))).toEqual(expected)
  })

  test('and the audit log names the same', async () => {
    await using app = await startApp({ env: PROXIES })
    const headers = { 'x-forwarded-for': '203.0.113.9, 192.0.2.1, 10.0.0.2' }
    const credentials = { email: 'nobody@example.com', password: 'guess' }
    await app.client().post('/users/login/', credentials, { headers })
    await app.client().post('/users/login/', credentials, {
      headers: { 'x-forwarded-for': '{"event":"login"}\\n, <b>' },
    })
    const entries = await app.app.db.selectFrom('audit').select('address').orderBy('id').execute()
    expect(entries.slice(-2)).toEqual([{ address: '192.0.2.1' }, { address: '127.0.0.1' }])
  })
})
