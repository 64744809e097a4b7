import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import { aPerson, aResetLink, aSignedInPerson, logIn } from './person.ts'

const NEW_PASSWORD = 'four lamps in a row'

describe.each(BACKENDS)('resetting a password, on %s', (backend) => {
  let app: TestApp
  beforeAll(async () => {
    app = await startApp({ backend })
  })
  afterAll(() => app.stop())

  const forgot = (body: unknown) => app.client().post('/users/forgot-password/', body)
  const reset = (body: unknown) => app.client().post('/users/reset-password/', body)
  const errorOf = async (reply: Response) => [
    reply.status,
    ((await reply.json()) as { error: string }).error,
  ]

  test('is offered to everybody in the same words', async () => {
    const { email } = await aPerson(app)
    const proxied = { headers: { 'x-forwarded-for': '192.0.2.1' } }
    const shut = await aPerson(app)
    await app.app.db
      .updateTable('users')
      .set({ is_active: false })
      .where('id', '=', shut.userId)
      .execute()
    const addresses = [email, ` ${email.toUpperCase()}`, 'no@example.com', 'nonsense', shut.email]
    for (const address of addresses) {
      const reply = await app.client().post('/users/forgot-password/', { email: address }, proxied)
      expect([reply.status, await reply.text()]).toEqual([
        200,
        '{"message":"If this email exists, a reset link has been sent."}',
      ])
    }
  })

  test.each([
    [{}],
    [undefined],
    [{ email: '' }],
    [{ email: '  ' }],
    [{ email: null }],
    [{ email: 5 }],
  ])('asks for an address when it gets %j', async (body) => {
    expect(await errorOf(await forgot(body))).toEqual([400, 'Email is required.'])
  })

  test.each(['new_password', 'password'])('sets the password in %s', async (field) => {
    const person = await aSignedInPerson(app)
    const link = await aResetLink(app, person)
    expect((await person.client.get('/content/')).status).toBe(200)
    const reply = await reset({ ...link, [field]: NEW_PASSWORD })
    expect([reply.status, await reply.json()]).toEqual([
      200,
      { message: 'Password has been reset successfully.' },
    ])
    expect(reply.headers.getSetCookie()).toEqual([])
    expect((await logIn(app, person)).status).toBe(400)
    expect((await logIn(app, { ...person, password: NEW_PASSWORD })).status).toBe(200)
    // Every session ended, the access token at once.
    expect((await person.client.get('/content/')).status).toBe(401)
    expect((await person.client.post('/users/refresh/')).status).toBe(401)
  })

  test('takes the new password byte for byte', async () => {
    const person = await aPerson(app)
    const password = '  spaces matter \u00e9 '
    await reset({ ...(await aResetLink(app, person)), new_password: password })
    expect((await logIn(app, { ...person, password: password.trim() })).status).toBe(400)
    expect((await logIn(app, { ...person, password: password.normalize('NFD') })).status).toBe(400)
    expect((await logIn(app, { ...person, password })).status).toBe(200)
  })

  test('says what is missing or wrong', async () => {
    const person = await aPerson(app)
    const other = await aPerson(app)
    const { uid, token } = await aResetLink(app, person)
    const whole = { uid, token, new_password: NEW_PASSWORD }
    const without = (field: keyof typeof whole) => ({ ...whole, [field]: undefined })
    for (const body of [
      {},
      without('uid'),
      without('token'),
      without('new_password'),
      { ...whole, token: '' },
      { ...whole, new_password: null },
      { ...whole, uid: 5 },
      { ...whole, token: ['a'] },
    ]) {
      expect(await errorOf(await reset(body))).toEqual([400, 'All fields are required.'])
    }
    for (const unknown of ['zzzzzz', '!', '\0', '-1', '0']) {
      expect(await errorOf(await reset({ ...whole, uid: unknown }))).toEqual([400, 'Invalid user.'])
    }
    expect(await errorOf(await reset({ ...whole, uid: other.link.uid }))).toEqual([
      400,
      'Token does not match user.',
    ])
    expect(await errorOf(await reset({ ...whole, token: 'nonsense' }))).toEqual([
      400,
      'Invalid or expired token.',
    ])
    expect((await reset(whole)).status).toBe(200)
  })

  test('refuses a password that breaks a rule, and leaves the link for a better one', async () => {
    const person = await aPerson(app)
    const link = await aResetLink(app, person)
    expect(await errorOf(await reset({ ...link, new_password: 'sh0rt!' }))).toEqual([
      400,
      'This password is too short. It must contain at least 8 characters.',
    ])
    expect(await errorOf(await reset({ ...link, new_password: 'iloveyou' }))).toEqual([
      400,
      'This password is too common.',
    ])
    expect(await errorOf(await reset({ ...link, new_password: person.email }))).toEqual([
      400,
      'The password is too similar to the email.',
    ])
    expect(await errorOf(await reset({ ...link, new_password: 'null\0null\0null' }))).toEqual([
      400,
      'Null characters are not allowed.',
    ])
    expect(await errorOf(await reset({ ...link, new_password: 'half \ud800 a pair' }))).toEqual([
      400,
      'Not a valid string.',
    ])
    expect((await reset({ ...link, new_password: NEW_PASSWORD })).status).toBe(200)
  })

  test('works once for a link, of thirty tries at once too', async () => {
    const person = await aPerson(app)
    const link = await aResetLink(app, person)
    const tries = Array.from({ length: 30 }, (_, at) => `${NEW_PASSWORD} ${at}`)
    const replies = await Promise.all(tries.map((password) => reset({ ...link, password })))
    const winners = tries.filter((_, at) => replies[at]?.status === 200)
    expect(winners).toHaveLength(1)
    expect(replies.filter(({ status }) => status === 400)).toHaveLength(29)
    expect((await logIn(app, { ...person, password: winners[0] ?? '' })).status).toBe(200)
  })

  test('voids the other links with the old password', async () => {
    const person = await aPerson(app)
    const first = await aResetLink(app, person)
    const second = await aResetLink(app, person)
    expect((await reset({ ...second, new_password: NEW_PASSWORD })).status).toBe(200)
    expect(await errorOf(await reset({ ...first, new_password: 'five lamps in a row' }))).toEqual([
      400,
      'Invalid or expired token.',
    ])
  })

  test('is possible for one hour', async () => {
    const person = await aPerson(app)
    const early = await aResetLink(app, person)
    const late = await aResetLink(app, person)
    app.clock.advance(3_540_000)
    expect((await reset({ ...early, new_password: 'x' })).status).toBe(400)
    app.clock.advance(61_000)
    expect(await errorOf(await reset({ ...late, new_password: NEW_PASSWORD }))).toEqual([
      400,
      'Invalid or expired token.',
    ])
    const fresh = await aResetLink(app, person)
    expect((await reset({ ...fresh, new_password: NEW_PASSWORD })).status).toBe(200)
  })

  test('confirms an account that never was, and only the new password opens it', async () => {
    const person = await aPerson(app, { isConfirmed: false })
    const link = await aResetLink(app, person)
    expect((await logIn(app, person)).status).toBe(400)
    expect((await reset({ ...link, new_password: NEW_PASSWORD })).status).toBe(200)
    expect((await logIn(app, person)).status).toBe(400)
    expect((await logIn(app, { ...person, password: NEW_PASSWORD })).status).toBe(200)
    const confirmed = await app.app.db
      .selectFrom('audit')
      .select('id')
      .where('event', '=', 'confirmed')
      .where('user_id', '=', person.userId)
      .execute()
    expect(confirmed).toHaveLength(1)
  })

  test('brings nobody back who was shut out', async () => {
    const person = await aPerson(app)
    const link = await aResetLink(app, person)
    const superuser = await app.superuser()
    const path = `/admin/api/users/${person.userId}/`
    expect((await superuser.patch(path, { is_active: false })).status).toBe(200)
    expect(await aResetLink(app, person)).toBeUndefined()
    expect(await errorOf(await reset({ ...link, new_password: NEW_PASSWORD }))).toEqual([
      400,
      'Invalid or expired token.',
    ])
    await superuser.patch(path, { is_active: true })
    expect((await logIn(app, { ...person, password: NEW_PASSWORD })).status).toBe(400)
    expect((await logIn(app, person)).status).toBe(200)
  })

  test('keeps no token that opens anything', async () => {
    const person = await aPerson(app)
    const { token } = await aResetLink(app, person)
    const links = await app.app.db.selectFrom('links').selectAll().execute()
    expect(links.length).toBeGreaterThan(0)
    expect(JSON.stringify(links)).not.toContain(token)
    const tasks = await app.app.db.selectFrom('tasks').selectAll().execute()
    expect(JSON.stringify(tasks)).not.toContain(token)
  })
})
