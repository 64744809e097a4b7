import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import { logIn } from './person.ts'

const PASSWORD = 'two horses and a stapler'

describe.each(BACKENDS)('signing up, on %s', (backend) => {
  let app: TestApp
  beforeAll(async () => {
    app = await startApp({ backend })
  })
  afterAll(() => app.stop())

  const register = (body: unknown) => app.client().post('/users/register/', body)
  const signUp = (email: string, more: object = {}) =>
    register({ email, password: PASSWORD, confirm_password: PASSWORD, ...more })
  const refusal = async (reply: Promise<Response>) => {
    const { status } = await reply
    return [status, await (await reply).json()]
  }

  test('makes an inactive user with the address trimmed and in lower case', async () => {
    const reply = await signUp('  Ada.Lovelace@Example.COM ', {
      phone: ' 0123 ',
      address: 'Here 1',
    })
    expect(reply.status).toBe(201)
    expect(await reply.json()).toMatchObject({ email: 'ada.lovelace@example.com' })
    const user = await app.app.db
      .selectFrom('users')
      .select(['is_active', 'is_superuser', 'phone', 'address', 'password_hash'])
      .where('email', '=', 'ada.lovelace@example.com')
      .executeTakeFirstOrThrow()
    expect(user).toMatchObject({
      is_active: false,
      is_superuser: false,
      phone: '0123',
      address: 'Here 1',
    })
    expect(user.password_hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
  })

  test('sets no fields but its own', async () => {
    const extra = {
      is_active: true,
      is_superuser: true,
      is_staff: true,
      id: 7,
      confirmed_at: 'now',
    }
    expect((await signUp('mallory@example.com', extra)).status).toBe(201)
    const reply = await logIn(app, { email: 'mallory@example.com', password: PASSWORD })
    expect(reply.status).toBe(400)
    const user = await app.app.db
      .selectFrom('users')
      .select(['is_superuser', 'id'])
      .where('email', '=', 'mallory@example.com')
      .executeTakeFirstOrThrow()
    expect(user.is_superuser).toBe(false)
    expect(user.id).not.toBe(7)
  })

  test('asks for what is missing, field by field', async () => {
    const required = ['This field is required.']
    expect(await refusal(register({}))).toEqual([
      400,
      { email: required, password: required, confirm_password: required },
    ])
    expect(await refusal(register(undefined))).toEqual([
      400,
      { email: required, password: required, confirm_password: required },
    ])
    const blank = ['This field may not be blank.']
    expect(await refusal(register({ email: '  ', password: '', confirm_password: '' }))).toEqual([
      400,
      { email: blank, password: blank, confirm_password: blank },
    ])
    const isNull = ['This field may not be null.']
    expect(
      await refusal(register({ email: null, password: null, confirm_password: null })),
    ).toEqual([400, { email: isNull, password: isNull, confirm_password: isNull }])
  })

  test.each([
    [{ email: 5 }, { email: ['Not a valid string.'] }],
    [{ email: ['a@example.com'] }, { email: ['Not a valid string.'] }],
    [{ email: { toString: 'a@example.com' } }, { email: ['Not a valid string.'] }],
    [{ email: true }, { email: ['Not a valid string.'] }],
    [{ email: 'nobody' }, { email: ['Enter a valid email address.'] }],
    [{ email: 'a@b' }, { email: ['Enter a valid email address.'] }],
    [{ email: 'a@example.com\r\nBcc: b@example.com' }, { email: ['Enter a valid email address.'] }],
    [{ email: 'a@example.com,b@example.com' }, { email: ['Enter a valid email address.'] }],
    [{ email: 'a\0@example.com' }, { email: ['Null characters are not allowed.'] }],
    [{ email: '\ud800@example.com' }, { email: ['Not a valid string.'] }],
    [
      { email: `${'a'.repeat(60_000)}@example.com` },
      { email: ['Ensure this field has no more than 254 characters.'] },
    ],
    [{ phone: '1'.repeat(21) }, { phone: ['Ensure this field has no more than 20 characters.'] }],
    [{ phone: 1 }, { phone: ['Not a valid string.'] }],
    [{ phone: '1\0' }, { phone: ['Null characters are not allowed.'] }],
    [
      { address: 'a'.repeat(121) },
      { address: ['Ensure this field has no more than 120 characters.'] },
    ],
    [{ password: 'a\0aaaaaaaaa' }, { password: ['Null characters are not allowed.'] }],
    [
      { password: 'a'.repeat(1025) },
      { password: ['Ensure this field has no more than 1024 characters.'] },
    ],
    [{ confirm_password: 'another one' }, { password: ['Passwords must match.'] }],
    [{ confirm_password: ` ${PASSWORD}` }, { password: ['Passwords must match.'] }],
  ])('refuses %j', async (fields, errors) => {
    const email = 'unused@example.com'
    expect(await refusal(signUp(email, fields))).toEqual([400, errors])
    const { exists } = (await (
      await app.client().get(`/users/email-exists/?email=${email}`)
    ).json()) as { exists: boolean }
    expect(exists).toBe(false)
  })

  test('takes a phone number of 20 characters, spaces around it not counted', async () => {
    const phone = `  ${'1'.repeat(20)}  `
    expect((await signUp('twenty@example.com', { phone, address: null })).status).toBe(201)
  })

  test.each([
    ['short1!', ['This password is too short. It must contain at least 8 characters.']],
    ['sunshine', ['This password is too common.']],
    ['PassWord', ['This password is too common.']],
    ['weak-one', ['The password is too similar to the email.']],
    ['Weak-One@example.com', ['The password is too similar to the email.']],
    [
      '123456',
      [
        'This password is too short. It must contain at least 8 characters.',
        'This password is too common.',
      ],
    ],
  ])('refuses the password %j', async (password, messages) => {
    const body = { email: 'weak-one@example.com', password, confirm_password: password }
    expect(await refusal(register(body))).toEqual([400, { password: messages }])
  })

  test.each([
    ['the same', 'double@example.com'],
    ['another case', 'DOUBLE@Example.Com'],
    ['spaces around it', '\u00a0 double@example.com\n'],
    ['another Unicode form', 'ｄｏｕｂｌｅ＠ｅｘａｍｐｌｅ．ｃｏｍ'],
  ])('knows an address that is taken when it comes in %s', async (_what, email) => {
    await signUp('double@example.com')
    expect(await refusal(signUp(email))).toEqual([
      400,
      { email: ['User with this email already exists.'] },
    ])
    const reply = await app.client().get(`/users/email-exists/?email=${encodeURIComponent(email)}`)
    expect(await reply.json()).toEqual({ exists: true })
  })

  test('makes one account of fifty registrations at once', async () => {
    const spellings = Array.from({ length: 50 }, (_, at) =>
      at % 2 === 0 ? 'crowd@example.com' : ' CROWD@example.com',
    )
    const replies = await Promise.all(spellings.map((email) => signUp(email)))
    const statuses = replies.map(({ status }) => status)
    expect(statuses.filter((status) => status === 201)).toHaveLength(1)
    expect(statuses.filter((status) => status === 400)).toHaveLength(49)
    const users = await app.app.db
      .selectFrom('users')
      .select('id')
      .where('email', '=', 'crowd@example.com')
      .execute()
    expect(users).toHaveLength(1)
  })

  test('tells of an address whether it has an account', async () => {
    const ask = async (query: string) => {
      const reply = await app.client().get(`/users/email-exists/${query}`)
      return [reply.status, await reply.json()]
    }
    expect(await ask('?email=%20ADMIN@example.com%20')).toEqual([200, { exists: true }])
    expect(await ask('?email=nobody@example.com&other=1')).toEqual([200, { exists: false }])
    expect(await ask('')).toEqual([400, { email: ['This field is required.'] }])
    expect(await ask('?email=')).toEqual([400, { email: ['This field may not be blank.'] }])
    expect(await ask('?email=nobody')).toEqual([400, { email: ['Enter a valid email address.'] }])
    expect(await ask('?email=%00')).toEqual([400, { email: ['Null characters are not allowed.'] }])
    expect(await ask('?email[]=a@example.com')).toEqual([
      400,
      { email: ['This field is required.'] },
    ])
  })
})
