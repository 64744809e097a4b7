import { expect, test } from 'vitest'
import { readSettings } from './settings.ts'

const BYTES = Buffer.from('0123456789abcdefghijklmnopqrstuvwxyz')
const base64 = (length: number): string => BYTES.subarray(0, length).toString('base64')
const WHOLE = {
  WEBHOOK_URLS: 'https://hooks.example.com/films',
  WEBHOOK_SECRET: `whsec_${base64(24)}`,
}

const webhooksOf = (env: Record<string, string>) => readSettings(env, '/tmp').settings.webhooks

test('tell nobody without settings', () => {
  expect(webhooksOf({})).toEqual({ receivers: [], timeoutMs: 10_000 })
  expect(webhooksOf({ WEBHOOK_URLS: '', WEBHOOK_TIMEOUT: '2.5' })).toEqual({
    receivers: [],
    timeoutMs: 2500,
  })
})

test('name each receiver by its URL, and keep the login apart', () => {
  const urls = 'https://hooks.example.com/films?x=1#y, http://me:p%40ss%3A%C3%BC@localhost:9000'
  const secrets = [BYTES.subarray(0, 24)]
  expect(webhooksOf({ ...WHOLE, WEBHOOK_URLS: urls }).receivers).toEqual([
    { url: 'https://hooks.example.com/films?x=1', authorization: null, secrets },
    {
      url: 'http://localhost:9000/',
      authorization: `Basic ${Buffer.from('me:p@ss:ü').toString('base64')}`,
      secrets,
    },
  ])
})

test('take a secret with and without its prefix, and a second one while it is exchanged', () => {
  const secretsOf = (text: string) =>
    webhooksOf({ ...WHOLE, WEBHOOK_SECRET: text }).receivers[0]?.secrets
  expect(secretsOf(base64(32))).toEqual([BYTES.subarray(0, 32)])
  expect(secretsOf(`whsec_${base64(32)}, ${base64(24)}`)).toEqual([
    BYTES.subarray(0, 32),
    BYTES.subarray(0, 24),
  ])
})

test.each([
  [{ WEBHOOK_URLS: WHOLE.WEBHOOK_URLS }, /^WEBHOOK_URLS is set, but WEBHOOK_SECRET is missing: /],
  [{ WEBHOOK_SECRET: base64(24) }, /^WEBHOOK_SECRET is set, but WEBHOOK_URLS is missing: /],
  [
    { ...WHOLE, WEBHOOK_URLS: 'https://me:one@example.com, https://me:two@example.com/' },
    /^WEBHOOK_URLS holds https:\/\/example\.com\/ twice: remove one\.$/,
  ],
])('refuse half a configuration, and one that says a thing twice: %j', (env, sentence) => {
  expect(() => webhooksOf(env)).toThrow(sentence)
})

test.each([
  base64(23),
  `${base64(24)}, ${base64(23)}`,
  'whsec_short',
  'not base64 at all, but it is long enough for anybody',
  base64(24).replace(/..$/, '-_'),
  Buffer.alloc(32).toString('base64'),
  Buffer.alloc(65, BYTES).toString('base64'),
])('refuse %s for a secret, and do not repeat it', (text) => {
  const read = () => webhooksOf({ ...WHOLE, WEBHOOK_SECRET: text })
  expect(read).toThrow(/^WEBHOOK_SECRET: its value is not understood; write 24 to 64 random bytes/)
  expect(read).not.toThrow(text)
})

test.each(['example.com', 'ftp://u:hidden@example.com', 'https://a.example, https://%ff:hidden@b'])(
  'refuse %s for URLs, and do not repeat them',
  (text) => {
    const read = () => webhooksOf({ ...WHOLE, WEBHOOK_URLS: text })
    expect(read).toThrow(/^WEBHOOK_URLS: its value is not understood; write full URLs/)
    expect(read).not.toThrow('hidden')
  },
)
