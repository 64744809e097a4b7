import { createHmac } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createApp } from '../../server/src/app.ts'
import { deriveKeys, type KeyPurpose } from '../../server/src/config/keys.ts'
import { aResetLink, aSignedInPerson, type Person } from '../accounts/person.ts'
import { BACKENDS, startApp, THIS_PROCESS, type TestApp } from '../harness/app.ts'

type Claims = Record<string, unknown>

const refusal = (message: string) => ({
  detail: 'Given token not valid for any token type',
  code: 'token_not_valid',
  messages: [{ token_class: 'AccessToken', token_type: 'access', message }],
})

describe.each(BACKENDS)('an access token, on %s', (backend) => {
  let app: TestApp
  beforeAll(async () => {
    app = await startApp({ backend })
  })
  afterAll(() => app.stop())

  const tokenOf = ({ client }: Person) => client.cookies.get('vf_access') ?? ''
  const claimsOf = (token: string) =>
    JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Claims
  /** What a protected route says to these headers. */
  const ask = async (headers: Record<string, string>) => {
    const reply = await app.client().get('/content/', { headers })
    expect(reply.headers.get('www-authenticate')).toBe(
      reply.status === 401 ? 'Bearer realm="api"' : null,
    )
    return [reply.status, reply.status === 200 ? null : await reply.json()]
  }
  const withCookie = (token: string) => ask({ cookie: `vf_access=${token}` })
  const withBearer = (token: string) => ask({ authorization: `Bearer ${token}` })

  test('opens by cookie, or as Bearer without one', async () => {
    const token = tokenOf(await aSignedInPerson(app))
    expect(await withCookie(token)).toEqual([200, null])
    expect(await withBearer(token)).toEqual([200, null])
    expect(await ask({ authorization: `bearer  ${token}` })).toEqual([200, null])
    expect(await ask({ cookie: 'vf_access=', authorization: `Bearer ${token}` })).toEqual([
      200,
      null,
    ])
  })

  test('in a cookie decides alone', async () => {
    const token = tokenOf(await aSignedInPerson(app))
    expect(await ask({ cookie: 'vf_access=nonsense', authorization: `Bearer ${token}` })).toEqual([
      401,
      refusal('Token is invalid'),
    ])
  })

  test('of two people in two cookies opens for neither', async () => {
    const [one, other] = [await aSignedInPerson(app), await aSignedInPerson(app)]
    const cookie = `vf_access=${tokenOf(one)}; vf_access=${tokenOf(other)}`
    expect(await ask({ cookie })).toEqual([401, refusal('Token is invalid')])
    const twice = `vf_access=${tokenOf(one)}; vf_access=${tokenOf(one)}`
    expect(await ask({ cookie: twice })).toEqual([200, null])
  })

  test.each([
    [{}],
    [{ authorization: 'Basic YWRtaW46YWRtaW4=' }],
    [{ authorization: 'Bearer' }],
    [{ authorization: 'Bearer ' }],
    [{ cookie: 'vf_access=' }],
    [{ cookie: 'other=1; ; =;' }],
  ] as Record<string, string>[][])('is missed in %j', async (headers) => {
    expect(await ask(headers ?? {})).toEqual([
      401,
      { detail: 'Authentication credentials were not provided.' },
    ])
  })

  test('lives 300 seconds', async () => {
    const token = tokenOf(await aSignedInPerson(app))
    app.clock.advance(298_000)
    expect(await withCookie(token)).toEqual([200, null])
    app.clock.advance(3000)
    expect(await withCookie(token)).toEqual([401, refusal('Token is expired')])
  })

  test('is no other token', async () => {
    const person = await aSignedInPerson(app)
    const refreshToken = person.client.cookies.get('vf_refresh') ?? ''
    expect(await withCookie(refreshToken)).toEqual([401, refusal('Token has wrong type')])
    expect(await withBearer(refreshToken)).toEqual([401, refusal('Token has wrong type')])
    const { token } = await aResetLink(app, person)
    expect(await withCookie(token)).toEqual([401, refusal('Token is invalid')])
    expect(await withCookie(person.link.token)).toEqual([401, refusal('Token is invalid')])
  })

  test('that is broken or forged is refused', async () => {
    const token = tokenOf(await aSignedInPerson(app))
    const claims = claimsOf(token)
    const [header = '', payload = '', signature = ''] = token.split('.')
    const key = await keyFor('access')
    const header256 = { alg: 'HS256', typ: 'at+jwt' }
    // Its premise: signed as we do, it opens.
    expect(await withCookie(signed(claims, header256, key))).toEqual([200, null])
    const forged = [
      'nonsense',
      'a.b.c',
      '..',
      `${header}.${payload}.`,
      `${header}.${payload}`,
      `${header}.${payload}.${signature.slice(0, -3)}AAA`,
      `${header}.${payload}.${signature}.${signature}`,
      `${encoded({ alg: 'none', typ: 'at+jwt' })}.${payload}.`,
      `${encoded({ alg: 'none', typ: 'at+jwt' })}.${payload}.${signature}`,
      signed(claims, { ...header256, alg: 'HS512' }, Buffer.concat([key, key])),
      signed(claims, { ...header256, crit: ['x'], x: 1 }, key),
      signed(claims, header256, await keyFor('refresh')),
      signed(claims, header256, await keyFor('media-url')),
      signed(claims, header256, Buffer.from('secret'.repeat(8))),
      signed({ ...claims, iss: 'somebody' }, header256, key),
      signed({ ...claims, sub: '1e1' }, header256, key),
      signed({ ...claims, sub: `${Number(claims['sub']) + 1}` }, header256, key),
      signed({ ...claims, sid: ['x'] }, header256, key),
      signed({ ...claims, sid: 'x\0' }, header256, key),
      signed({ ...claims, nbf: 99_999_999_999 }, header256, key),
      signed({ sub: claims['sub'], sid: claims['sid'] }, header256, key),
    ]
    for (const each of forged) {
      expect([each, ...(await withBearer(each))]).toEqual([
        each,
        401,
        expect.objectContaining({
          code: expect.stringMatching(/^(token_not_valid|user_not_found)$/),
        }),
      ])
    }
  })

  test.each([
    ['another type', { typ: 'JWT' }, {}],
    ['another audience', {}, { aud: 'somebody' }],
  ])('of %s says so', async (_what, header, claims) => {
    const token = tokenOf(await aSignedInPerson(app))
    const other = signed(
      { ...claimsOf(token), ...claims },
      { alg: 'HS256', typ: 'at+jwt', ...header },
      await keyFor('access'),
    )
    expect(await withCookie(other)).toEqual([401, refusal('Token has wrong type')])
  })

  test('dies within two seconds of its user being shut out or deleted', async () => {
    const shut = await aSignedInPerson(app)
    const deleted = await aSignedInPerson(app)
    for (const { client } of [shut, deleted]) {
      expect((await client.get('/content/')).status).toBe(200)
    }
    await app.app.db
      .updateTable('users')
      .set({ is_active: false })
      .where('id', '=', shut.userId)
      .execute()
    await app.app.db.deleteFrom('users').where('id', '=', deleted.userId).execute()
    app.clock.advance(2001)
    expect(await withCookie(tokenOf(shut))).toEqual([
      401,
      { detail: 'User is inactive', code: 'user_inactive' },
    ])
    expect(await withCookie(tokenOf(deleted))).toEqual([
      401,
      { detail: 'User not found', code: 'user_not_found' },
    ])
  })

  async function keyFor(purpose: KeyPurpose): Promise<Buffer> {
    const secret = await readFile(join(app.settings.dataDir, 'secret-key'), 'utf8')
    return deriveKeys(secret.trim(), []).signing(purpose)
  }
})

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url')
}

/** A JWT (RFC 7519), signed by HMAC-SHA256 or -SHA512 as its header says. */
function signed(
  claims: Claims,
  header: { alg: string; [more: string]: unknown },
  key: Buffer,
): string {
  const body = `${encoded(header)}.${encoded(claims)}`
  const hash = header.alg.replace('HS', 'sha')
  return `${body}.${createHmac(hash, key).update(body).digest('base64url')}`
}

test('SECRET_KEY changes without signing anybody out', async () => {
  const oldKey = 'zT8mQ2vX0wPq7Lr5Kd9Hs3Jf6Gn1Bc4V'
  const newKey = 'b1Nn7Jk3Vf9Xc5Zm0Qw8Er2Ty6Ui4Op1'
  await using app = await startApp({ env: { SECRET_KEY: oldKey } })
  const person = await aSignedInPerson(app)
  const settings = { ...app.settings, secretKey: newKey, secretKeyFallbacks: [oldKey] }
  const later = await createApp({
    settings,
    backendOrigin: app.origin,
    log: pino({ level: 'silent' }),
  })
  const server = await later.createServer(THIS_PROCESS)
  const ask = (method: 'GET' | 'POST', url: string, cookie: string) =>
    server.inject({ method, url, headers: { host: new URL(app.origin).host, cookie } })
  const cookie = [...person.client.cookies].map((pair) => pair.join('=')).join('; ')
  expect((await ask('GET', '/content/', cookie)).statusCode).toBe(200)
  expect((await ask('POST', '/users/refresh/', cookie)).statusCode).toBe(200)
  await server.close()
  await later.close()
})
