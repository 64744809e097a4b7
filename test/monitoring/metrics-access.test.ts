import { randomBytes } from 'node:crypto'
import type { InjectOptions } from 'fastify'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readSettings } from '../../server/src/config/settings.ts'
import { startApp, type TestApp } from '../harness/app.ts'
import { sendRaw } from '../attacks/raw.ts'

const TOKEN = randomBytes(32).toString('base64url')
const NOT_THERE = [404, '{"detail":"Not found."}']
const STRANGER = '192.0.2.7'
const HERE = '127.0.0.1'

let app: TestApp
beforeAll(async () => (app = await startApp({ env: { METRICS_TOKEN: TOKEN } })))
afterAll(() => app.stop())

async function ask(
  remoteAddress: string,
  headers: Record<string, string> = {},
  method: InjectOptions['method'] = 'GET',
): Promise<[number, string]> {
  const url = '/metrics'
  const host = `127.0.0.1:${app.settings.listen.port}`
  const request = { method, url, remoteAddress, headers: { host, ...headers } } as const
  const reply = await app.server.inject(request)
  return [reply.statusCode, reply.statusCode === 200 ? 'metrics' : reply.body]
}
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

test('programs on this machine may read them', async () => {
  for (const address of [HERE, '127.3.4.5', '::1', '::ffff:127.0.0.1']) {
    expect([address, ...(await ask(address))]).toEqual([address, 200, 'metrics'])
  }
})

test('so may whoever has the token, wherever they are and by whatever name they ask', async () => {
  expect(await ask(STRANGER, bearer(TOKEN))).toEqual([200, 'metrics'])
  expect(await ask(STRANGER, { ...bearer(TOKEN), host: '10.1.2.3:8000' })).toEqual([200, 'metrics'])
  expect(await ask(HERE, { ...bearer(TOKEN), 'x-forwarded-for': STRANGER })).toEqual([
    200,
    'metrics',
  ])
})

test('to others they are not there', async () => {
  expect(await ask(STRANGER)).toEqual(NOT_THERE)
  for (const token of ['', 'x', TOKEN.slice(0, -1), `${TOKEN}x`, TOKEN.toLowerCase()]) {
    expect(await ask(STRANGER, bearer(token))).toEqual(NOT_THERE)
  }
  expect(await ask(STRANGER, { authorization: TOKEN })).toEqual(NOT_THERE)
  expect(await ask(STRANGER, {}, 'POST')).toEqual(NOT_THERE)
  expect(await ask(STRANGER, {}, 'OPTIONS')).toEqual(NOT_THERE)
  // A superuser is a person, who has no business there.
  const superuser = await app.superuser()
  const access = superuser.cookies.get('vf_access') ?? ''
  expect(await ask(STRANGER, { cookie: `vf_access=${access}` })).toEqual(NOT_THERE)
  expect(await ask(STRANGER, bearer(access))).toEqual(NOT_THERE)
})

test.each([
  ['x-forwarded-for', STRANGER],
  ['x-forwarded-for', HERE],
  ['x-forwarded-proto', 'https'],
  ['x-forwarded-host', 'films.example.com'],
  ['x-real-ip', STRANGER],
  ['forwarded', `for=${STRANGER}`],
  ['via', '1.1 proxy'],
  ['cf-connecting-ip', STRANGER],
  ['true-client-ip', STRANGER],
])('a proxy on this machine that says %s: %s opens them to nobody', async (name, value) => {
  expect(await ask(HERE)).toEqual([200, 'metrics'])
  expect(await ask(HERE, { [name]: value })).toEqual(NOT_THERE)
})

test('nor do a foreign name that leads here, and a proxy that says nothing but speaks HTTP/1.0', async () => {
  expect(await ask(HERE, { host: 'films.example.com' })).toEqual(NOT_THERE)
  const { port } = app.settings.listen
  const get = async (version: string): Promise<string> => {
    const head = `GET /metrics HTTP/${version}\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`
    return (await sendRaw(port, head)).text
  }
  expect(await get('1.1')).toContain('200 OK')
  expect(await get('1.0')).toContain('404 Not Found')
})

test('without a token in the settings, none is right', async () => {
  await using other = await startApp()
  for (const token of ['', 'null', TOKEN]) {
    const reply = await other.server.inject({
      url: '/metrics',
      remoteAddress: STRANGER,
      headers: { host: '127.0.0.1', ...bearer(token) },
    })
    expect(reply.statusCode).toBe(404)
  }
})

test.each([
  ['Xq7fZ', 'METRICS_TOKEN is too short (5 characters, at least 32)'],
  ['0123456789abcdef0123456789abcdef', 'METRICS_TOKEN looks like an example'],
  ['please-change-me-please-change-me-42', 'METRICS_TOKEN looks like an example'],
  ['k2J9 x8Hf3 mQ1z7 Lw0pR 5vTn6 bYc4 dSg', 'METRICS_TOKEN holds spaces'],
])('the token %s keeps the server from starting', (token, problem) => {
  const read = (value: string) => readSettings({ METRICS_TOKEN: value }, '/x')
  expect(read(TOKEN).settings.monitoring.metricsToken).toBe(TOKEN)
  expect(() => read(token)).toThrow(problem)
  expect(() => read(token)).not.toThrow(token)
})
