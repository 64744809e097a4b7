import { pbkdf2Sync } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aPerson, logIn } from '../accounts/person.ts'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'

const WRONG = '{"non_field_errors":["Invalid credentials or inactive user."]}'

describe.each(BACKENDS)('signing in, on %s', (backend) => {
  let app: TestApp
  beforeAll(async () => {
    app = await startApp({ backend })
  })
  afterAll(() => app.stop())

  const login = (body: unknown) => app.client().post('/users/login/', body)

  test('gives the profile and both cookies', async () => {
    const { email, password, userId } = await aPerson(app)
    const reply = await login({ email: ` ${email.toUpperCase()} `, password })
    expect(reply.status).toBe(200)
    expect(await reply.json()).toEqual({
      id: userId,
      username: email,
      email,
      phone: null,
      address: null,
      favorite_videos: [],
    })
    expect(reply.headers.getSetCookie()).toEqual([
      expect.stringMatching(/^vf_access=[\w.-]+; Max-Age=300; Path=\/; HttpOnly; SameSite=Lax$/),
      expect.stringMatching(/^vf_refresh=[\w.-]+; Max-Age=3600; Path=\/; HttpOnly; SameSite=Lax$/),
    ])
  })

  test('for long is asked for by `remember: true`', async () => {
    const { email, password } = await aPerson(app)
    const lifeOf = async (remember: unknown) => {
      const reply = await login({ email, password, remember })
      return reply.headers.getSetCookie().map((line) => /Max-Age=(\d+)/.exec(line)?.[1])
    }
    expect(await lifeOf(true)).toEqual(['300', '604800'])
    expect(await lifeOf(false)).toEqual(['300', '3600'])
    expect(await lifeOf(undefined)).toEqual(['300', '3600'])
  })

  test.each([['true'], ['false'], [''], [1], [0], [[]], [{}]])(
    'does not guess what `remember: %j` means',
    async (remember) => {
      const { email, password } = await aPerson(app)
      const reply = await login({ email, password, remember })
      expect([reply.status, await reply.json()]).toEqual([
        400,
        { remember: ['Must be a valid boolean.'] },
      ])
      expect(reply.headers.getSetCookie()).toEqual([])
    },
  )

  test('fails in the same words, whoever it was', async () => {
    const person = await aPerson(app)
    const inactive = await aPerson(app, { isConfirmed: false })
    for (const { email, password } of [
      { ...person, password: 'not the password' },
      { ...person, password: ` ${person.password}` },
      { ...person, password: `${person.password} ` },
      { ...person, email: 'nobody@example.com' },
      inactive,
      { ...inactive, password: 'not the password' },
    ]) {
      const reply = await login({ email, password })
      expect([reply.status, await reply.text()]).toEqual([400, WRONG])
      expect(reply.headers.getSetCookie()).toEqual([])
    }
    expect((await logIn(app, person)).status).toBe(200)
  })

  test('asks for what is missing or of a wrong type, field by field', async () => {
    const required = ['This field is required.']
    const cases: [unknown, object][] = [
      [{}, { email: required, password: required }],
      [
        { email: null, password: null, remember: null },
        {
          email: ['This field may not be null.'],
          password: ['This field may not be null.'],
          remember: ['This field may not be null.'],
        },
      ],
      [
        { email: '', password: '' },
        { email: ['This field may not be blank.'], password: ['This field may not be blank.'] },
      ],
      [
        { email: 1, password: ['a'] },
        { email: ['Not a valid string.'], password: ['Not a valid string.'] },
      ],
      [
        { email: 'nonsense', password: 'a\0b' },
        {
          email: ['Enter a valid email address.'],
          password: ['Null characters are not allowed.'],
        },
      ],
    ]
    for (const [body, errors] of cases) {
      const reply = await login(body)
      expect([reply.status, await reply.json()]).toEqual([400, errors])
    }
  })

  test('is not held up by a stale or foreign access cookie', async () => {
    const { email, password, client } = await aPerson(app)
    for (const stale of ['nonsense', 'a.b.c', '%00', '"']) {
      client.cookies.clear()
      client.cookies.set('vf_access', stale)
      expect((await client.post('/users/login/', { email, password })).status).toBe(200)
      expect((await client.get('/content/')).status).toBe(200)
    }
  })

  test('starts a new session each time', async () => {
    const person = await aPerson(app)
    const cookieOf = async () => (await logIn(app, person)).headers.getSetCookie()[1]?.split('.')[0]
    expect(await cookieOf()).not.toBe(await cookieOf())
  })

  test('reads a password of the original, and keeps it better from then on', async () => {
    const { email, userId } = await aPerson(app)
    const password = 'kept from Django'
    const digest = pbkdf2Sync(password, 'salt', 1000, 32, 'sha256').toString('base64')
    const setHash = (hash: string) =>
      app.app.db
        .updateTable('users')
        .set({ password_hash: hash })
        .where('id', '=', userId)
        .execute()
    await setHash(`pbkdf2_sha256$1000$salt$${digest}`)
    expect((await login({ email, password: 'not from Django' })).status).toBe(400)
    expect((await login({ email, password })).status).toBe(200)
    const { password_hash: hash } = await app.app.db
      .selectFrom('users')
      .select('password_hash')
      .where('id', '=', userId)
      .executeTakeFirstOrThrow()
    expect(hash).toMatch(/^\$argon2id\$/)
    expect((await login({ email, password })).status).toBe(200)
    // What Django stores for somebody without a password opens nothing.
    await setHash('!9Yx')
    expect((await login({ email, password })).status).toBe(400)
  })

  test('is in the audit log, success and failure, without a secret', async () => {
    const person = await aPerson(app)
    await logIn(app, { ...person, password: 'not the password' })
    await logIn(app, person)
    const entries = await app.app.db
      .selectFrom('audit')
      .select(['event', 'address'])
      .where('user_id', '=', person.userId)
      .orderBy('id')
      .execute()
    expect(entries).toEqual([
      { event: 'registered', address: '127.0.0.1' },
      { event: 'confirmed', address: '127.0.0.1' },
      { event: 'login_failed', address: '127.0.0.1' },
      { event: 'login', address: '127.0.0.1' },
    ])
    expect(JSON.stringify(app.logs)).not.toContain('not the password')
  })
})

test('the cookies are made as the settings say', async () => {
  await using app = await startApp({
    env: {
      JWT_ACCESS_COOKIE_NAME: '__Host-access',
      JWT_REFRESH_COOKIE_NAME: '__Host-refresh',
      JWT_COOKIE_SECURE: 'True',
      JWT_COOKIE_SAMESITE: 'None',
    },
  })
  const person = await aPerson(app)
  const lines = (await logIn(app, person)).headers.getSetCookie()
  expect(lines).toEqual([
    expect.stringMatching(
      /^__Host-access=\S+; Max-Age=300; Path=\/; HttpOnly; Secure; SameSite=None$/,
    ),
    expect.stringMatching(
      /^__Host-refresh=\S+; Max-Age=3600; Path=\/; HttpOnly; Secure; SameSite=None$/,
    ),
  ])
  const cleared = await app.client().post('/users/logout/')
  for (const line of cleared.headers.getSetCookie()) {
    expect(line).toMatch(/^__Host-\w+=; Max-Age=0; Path=\/; .*HttpOnly; Secure; SameSite=None$/)
  }
})
