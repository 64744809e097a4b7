import { createSign, generateKeyPairSync } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { deriveKeys } from '../../server/src/config/keys.ts'
import { aSignedInPerson } from '../accounts/person.ts'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import { encoded, macOf, signed, type Part } from './forge.ts'

const SECRET = 'tR9wQx2Lm5Zk8Vb1Nc4Jh7Gd0Fs3Ap6Y'
/** What an attacker is assumed to have found out: everything, to show that the format alone refuses. */
const KEY = deriveKeys(SECRET, []).signing('access')
const HEADER = { alg: 'HS256', typ: 'at+jwt' }
const HOUR = 3600

type Claims = Record<string, unknown>
interface Genuine {
  token: string
  claims: Claims
  refresh: string
}
type Forgery = (genuine: Genuine) => string

const signedWith =
  (more: Claims, header: Claims = {}): Forgery =>
  ({ claims }) =>
    signed({ ...HEADER, ...header }, { ...claims, ...more }, KEY)
const without =
  (name: string): Forgery =>
  ({ claims }) =>
    signed(
      HEADER,
      Object.fromEntries(Object.entries(claims).filter(([each]) => each !== name)),
      KEY,
    )
const withHeader =
  (header: Part): Forgery =>
  ({ claims }) =>
    signed(header, claims, KEY)
/** A payload that is written by hand, from the genuine one's text. */
const written =
  (change: (text: string) => string): Forgery =>
  ({ claims }) =>
    signed(HEADER, change(JSON.stringify(claims)), KEY)
const now = () => Math.floor(Date.now() / 1000)
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const PEM = publicKey.export({ type: 'spki', format: 'pem' }) as string

/** Signed with the right key but for the first group: the form alone must refuse them. */
const FORGERIES: [string, Forgery][] = [
  ...['none', 'None', 'NONE', 'nOnE', ''].map((alg): [string, Forgery] => [
    `the algorithm “${alg}”`,
    ({ claims }) => `${encoded({ ...HEADER, alg })}.${encoded(claims)}.`,
  ]),
  ['no signature', ({ token }) => token.split('.').slice(0, 2).join('.')],
  ['an empty signature', ({ token }) => `${token.split('.').slice(0, 2).join('.')}.`],
  ['an empty key', ({ claims }) => signed(HEADER, claims, '')],
  ['a key of zeros', ({ claims }) => signed(HEADER, claims, Buffer.alloc(32))],
  ['the secret itself as key', ({ claims }) => signed(HEADER, claims, SECRET)],
  ['the key in hexadecimal', ({ claims }) => signed(HEADER, claims, KEY.toString('hex'))],
  ['HS384', ({ claims }) => signed({ ...HEADER, alg: 'HS384' }, claims, KEY, 'sha384')],
  ['HS512', ({ claims }) => signed({ ...HEADER, alg: 'HS512' }, claims, KEY, 'sha512')],
  ['HS256 said, HS512 done', ({ claims }) => signed(HEADER, claims, KEY, 'sha512')],
  ['hs256 in small letters', withHeader({ ...HEADER, alg: 'hs256' })],
  [
    'RS256 by a key of their own',
    ({ claims }) => {
      const body = `${encoded({ ...HEADER, alg: 'RS256' })}.${encoded(claims)}`
      return `${body}.${createSign('sha256').update(body).sign(privateKey, 'base64url')}`
    },
  ],
  ['RS256 with the secret as key', withHeader({ ...HEADER, alg: 'RS256' })],
  ['a public key as secret', ({ claims }) => signed(HEADER, claims, PEM)],
  [
    'a key that the token brings (jwk)',
    ({ claims }) => signed({ ...HEADER, jwk: { kty: 'oct', k: 'AAAA' } }, claims, Buffer.alloc(3)),
  ],
  [
    'a key at a URL (jku)',
    ({ claims }) => signed({ ...HEADER, jku: 'http://127.0.0.1:9/keys' }, claims, 'x'),
  ],
  [
    'a certificate at a URL (x5u)',
    ({ claims }) => signed({ ...HEADER, x5u: 'http://127.0.0.1:9/cert' }, claims, 'x'),
  ],
  [
    'a key by a path (kid)',
    ({ claims }) => signed({ ...HEADER, kid: '../../../../dev/null' }, claims, ''),
  ],
  [
    'a key by SQL (kid)',
    ({ claims }) => signed({ ...HEADER, kid: "' UNION SELECT 'x" }, claims, 'x'),
  ],
  ['an extension that must be known (crit)', withHeader({ ...HEADER, crit: ['x'], x: 1 })],
  ['an empty crit', withHeader({ ...HEADER, crit: [] })],
  ['crit for a known one', withHeader({ ...HEADER, crit: ['alg'] })],
  [
    'an unencoded payload (b64)',
    ({ claims }) => {
      const head = encoded({ ...HEADER, b64: false, crit: ['b64'] })
      const payload = JSON.stringify(claims)
      return `${head}.${encoded(payload)}.${macOf(`${head}.${payload}`, KEY)}`
    },
  ],
  ['two algorithms, none the last', withHeader('{"alg":"HS256","typ":"at+jwt","alg":"none"}')],
  ['a list as header', withHeader('[{"alg":"HS256","typ":"at+jwt"}]')],
  ['a header that is no JSON', withHeader('alg=HS256')],
  ['an algorithm in a list', withHeader({ ...HEADER, alg: ['HS256'] })],
  ['a prototype in the header', withHeader('{"__proto__":{"alg":"HS256","typ":"at+jwt"}}')],
  ...['JWT', 'refresh+jwt', 'at', '', null, 1, ['at+jwt']].map((typ): [string, Forgery] => [
    `the type ${JSON.stringify(typ)}`,
    withHeader({ ...HEADER, typ }),
  ]),
  ['no type', withHeader({ alg: 'HS256' })],
  ...['sub', 'sid', 'exp', 'iat', 'iss', 'aud'].map((name): [string, Forgery] => [
    `no ${name}`,
    without(name),
  ]),
  ...[
    { exp: String(now() + HOUR) },
    { exp: null },
    { exp: -1 },
    { exp: 0 },
    { exp: [now() + HOUR] },
    { exp: { $gt: 0 } },
    { exp: true },
    { exp: 1e300 },
    { exp: Number.MAX_SAFE_INTEGER },
    { exp: now() + 365 * 24 * HOUR },
    { exp: now() - 1 },
    { iat: now() + HOUR },
    { iat: String(now()) },
    { nbf: now() + HOUR },
    { nbf: 'now' },
    { aud: 'videoflix' },
    { aud: [] },
    { aud: {} },
    { aud: ['videoflix-api', 'another'] },
    { iss: 'https://videoflix' },
    { iss: ['videoflix'] },
    { sub: 1 },
    { sub: '' },
    { sub: '01' },
    { sub: '-1' },
    { sub: '1 OR 1=1' },
    { sub: '９' },
    { sub: '9'.repeat(15) },
    { sub: ['1'] },
    { sid: null },
    { sid: '' },
    { sid: 'A'.repeat(22) },
    { sid: '%'.repeat(22) },
    { sid: ['x'] },
    { sid: { toString: 'x' } },
  ].map((claims): [string, Forgery] => [
    `the claim ${JSON.stringify(claims)}`,
    signedWith(claims as Claims),
  ]),
  [
    'two subjects',
    written((text) => text.replace('{', '{"sub":"1",').replace(/}$/, ',"sub":"1"}')),
  ],
  ['two sessions', written((text) => text.replace(/}$/, ',"sid":"AAAAAAAAAAAAAAAAAAAAAA"}'))],
  ['two ends', written((text) => text.replace(/}$/, ',"exp":99999999999}'))],
  ['an infinite end', written((text) => text.replace(/"exp":\d+/, '"exp":1e999'))],
  ['bytes after the JSON', written((text) => `${text}{}`)],
  ['a payload that is a list', written((text) => `[${text}]`)],
  ['a payload that is null', written(() => 'null')],
  ['a payload that is a text', written((text) => JSON.stringify(text))],
  ['an empty payload', written(() => '')],
  [
    'bytes that are no UTF-8',
    ({ claims }) =>
      signed(HEADER, Buffer.concat([Buffer.from(JSON.stringify(claims)), Buffer.of(0xff)]), KEY),
  ],
  ['a deep payload', written(() => `${'['.repeat(3000)}${']'.repeat(3000)}`)],
  ['a token in a token', ({ token }) => signed({ ...HEADER, cty: 'JWT' }, token, KEY)],
  [
    'encryption (five parts)',
    ({ token }) => `${encoded({ alg: 'dir', enc: 'A256GCM' })}..${token}`,
  ],
  ['four parts', ({ token }) => `${token}.`],
  ['a part before', ({ token }) => `.${token}`],
  ['empty parts', () => '..'],
  ['dots', () => '.'.repeat(5000)],
  ['padding', ({ token }) => `${token}=`],
  ['padding inside', ({ token }) => token.replaceAll('.', '=.')],
  ['base64 that is not for URLs', ({ token }) => `${token.slice(0, -4)}+/+/`],
  ['a byte after it', ({ token }) => `${token}A`],
  ['a letter of the last signature byte changed', ({ token }) => flipLast(token)],
  ['white space inside', ({ token }) => token.replace('.', '.\t')],
  ['quotes around it', ({ token }) => `"${token}"`],
  ['a percent sign in it', ({ token }) => token.replace('.', '%2E')],
  [
    'its flattened JSON form',
    ({ token }) => {
      const [head, payload, signature] = token.split('.')
      return encoded({ protected: head, payload, signature })
    },
  ],
  ['the refresh token', ({ refresh }) => refresh],
  ['twelve kilobytes', ({ token }) => token + 'A'.repeat(12_000)],
]

describe.each(BACKENDS)('a forged access token, on %s', (backend) => {
  let app: TestApp
  let genuine: Genuine
  beforeAll(async () => {
    app = await startApp({ backend, env: { SECRET_KEY: SECRET } })
    const { client } = await aSignedInPerson(app)
    const token = client.cookies.get('vf_access') ?? ''
    const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()
    genuine = {
      token,
      claims: JSON.parse(payload) as Claims,
      refresh: client.cookies.get('vf_refresh') ?? '',
    }
  })
  afterAll(() => app.stop())

  const asBearer = async (token: string) =>
    await app.client().get('/content/', { headers: { authorization: `Bearer ${token}` } })
  const asCookie = async (token: string) =>
    await app.client().get('/content/', { headers: { cookie: `vf_access=${token}` } })

  test('signed with everything right is none: the key of these tests is the real one', async () => {
    expect((await asBearer(genuine.token)).status).toBe(200)
    expect((await asBearer(signed(HEADER, genuine.claims, KEY))).status).toBe(200)
    expect((await asCookie(signed(HEADER, { ...genuine.claims, extra: 1 }, KEY))).status).toBe(200)
  })

  test.each(FORGERIES)('with %s is 401', async (_what, forge) => {
    const token = forge(genuine)
    expect(token).not.toBe(genuine.token)
    for (const reply of [await asBearer(token), await asCookie(token)]) {
      expect(reply.status).toBe(401)
      expect(await reply.json()).not.toHaveProperty('id')
    }
  })

  test('is no internal error, whatever it is', () => {
    expect(app.logs.filter(({ msg }) => msg === 'internal error')).toEqual([])
  })

  test('of a hundred kilobytes is refused at the door', async () => {
    const reply = await asBearer('A'.repeat(100_000)).catch(() => null)
    expect(reply === null || reply.status === 431).toBe(true)
    expect((await asBearer(genuine.token)).status).toBe(200)
  })

  test('of a session that ended does not come back in another encoding', async () => {
    const { client } = await aSignedInPerson(app)
    const token = client.cookies.get('vf_access') ?? ''
    const [head = '', payload = '', signature = ''] = token.split('.')
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Claims
    const spellings = [
      token,
      flipLast(token),
      `${head}.${payload}.${signature}=`,
      `${head}.${payload}.${Buffer.from(signature, 'base64url').toString('base64')}`,
      signed({ typ: 'at+jwt', alg: 'HS256' }, claims, KEY),
      signed(HEADER, JSON.stringify(claims, null, 2), KEY),
      signed(HEADER, { ...claims, exp: Math.floor(Date.now() / 1000) + 299 }, KEY),
      signed(HEADER, { ...claims, jti: 'another' }, KEY),
      signed({ ...HEADER, typ: 'application/at+jwt' }, claims, KEY),
    ]
    expect((await asBearer(token)).status).toBe(200)
    await client.post('/users/logout/')
    for (const each of spellings) {
      expect((await asBearer(each)).status).toBe(401)
      expect((await asCookie(each)).status).toBe(401)
    }
  })
})

/** The last letter of 43 carries four bits: others decode to the same bytes. */
function flipLast(token: string): string {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const last = letters.indexOf(token.at(-1) ?? '')
  return token.slice(0, -1) + letters[last ^ 1]
}
