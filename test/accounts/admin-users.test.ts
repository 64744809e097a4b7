import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS, startApp, SUPERUSER, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import type { Smtp } from '../harness/smtp.ts'
import { linkOf, mailAbout, startAppWithMail } from './mailbox.ts'
import { aPerson, aResetLink, aSignedInPerson, logIn } from './person.ts'

const PATH = '/admin/api/users/'
const NEW_PASSWORD = 'four lamps in a row'
const NOT_FOUND = [404, { detail: 'Not found.' }]

interface User {
  id: number
  email: string
  [field: string]: unknown
}
interface Page {
  count: number
  next: string | null
  previous: string | null
  results: User[]
}

const answer = async (reply: Response) => [reply.status, await reply.json()]

async function aSuperuser(app: TestApp, email: string): Promise<{ client: Client; id: number }> {
  const { password } = SUPERUSER
  const { id } = await app.app.accounts.createSuperuser({ email, password, username: null })
  const client = app.client()
  await client.post('/users/login/', { email, password })
  return { client, id }
}

describe.each(BACKENDS)('users in the hands of superusers, on %s', (backend) => {
  let app: TestApp
  let smtp: Smtp
  let admin: Client
  let adminId: number
  beforeAll(async () => {
    ;({ app, smtp } = await startAppWithMail(backend))
    admin = await app.superuser()
    adminId = ((await (await admin.get('/users/me/')).json()) as User).id
  })
  afterAll(async () => {
    await app.stop()
    await smtp.stop()
  })

  const list = async (query: string) => (await (await admin.get(`${PATH}?${query}`)).json()) as Page
  const emailsOf = ({ results }: Page) => results.map(({ email }) => email)
  const get = async (id: number) => await answer(await admin.get(`${PATH}${id}/`))
  const edit = async (id: number, body: object) =>
    await answer(await admin.patch(`${PATH}${id}/`, body))
  const create = async (body: object) => await answer(await admin.post(PATH, body))
  const eventsOf = async (id: number) => {
    const rows = await app.app.db
      .selectFrom('audit')
      .select(['event', 'by_user_id', 'address'])
      .where('user_id', '=', id)
      .where('by_user_id', 'is not', null)
      .orderBy('id')
      .execute()
    for (const row of rows) expect(row).toMatchObject({ by_user_id: adminId, address: '127.0.0.1' })
    return rows.map(({ event }) => event)
  }

  test('are listed page by page, searched and filtered', async () => {
    for (const name of ['anna', 'bert', 'carl', 'd_ra', 'd%ra']) {
      const email = `${name}@list.example.com`
      await create({ email, password: NEW_PASSWORD, is_superuser: name === 'carl' })
    }
    const bert = (await list('search=bert@list')).results[0]?.id ?? 0
    await edit(bert, { is_active: false })
    const found = 'search=LIST.example&ordering=email'
    const whole = await list(found)
    expect(whole).toMatchObject({ count: 5, next: null, previous: null })
    expect(emailsOf(whole)).toEqual([
      'anna@list.example.com',
      'bert@list.example.com',
      'carl@list.example.com',
      'd%ra@list.example.com',
      'd_ra@list.example.com',
    ])
    expect(emailsOf(await list('search=list.example&ordering=-email'))).toEqual(
      emailsOf(whole).toReversed(),
    )
    const second = await list(`${found}&page=2&page_size=2`)
    expect(emailsOf(second)).toEqual(emailsOf(whole).slice(2, 4))
    expect(second.previous).toBe(`${app.origin}${PATH}?${found}&page=1&page_size=2`)
    const third = (await (await admin.get(second.next ?? '')).json()) as Page
    expect([emailsOf(third), third.next]).toEqual([emailsOf(whole).slice(4), null])

    expect(emailsOf(await list('search=d_ra'))).toEqual(['d_ra@list.example.com'])
    expect(emailsOf(await list('search=d%25ra'))).toEqual(['d%ra@list.example.com'])
    expect(emailsOf(await list('search=list.example&is_active=false'))).toEqual([
      'bert@list.example.com',
    ])
    expect(emailsOf(await list('search=list.example&is_superuser=true'))).toEqual([
      'carl@list.example.com',
    ])
    expect((await list('search=list.example&is_superuser=false&is_active=true')).count).toBe(3)
    expect(whole.results[0]).toEqual({
      id: expect.any(Number) as number,
      email: 'anna@list.example.com',
      phone: null,
      address: null,
      is_active: true,
      is_superuser: false,
      two_factor: false,
      created_at: expect.stringMatching(/^\d{4}-.*Z$/) as string,
      confirmed_at: expect.stringMatching(/^\d{4}-.*Z$/) as string,
      last_login_at: null,
    })
  })

  test.each([
    ['page=0', 'page'],
    ['page=1.5', 'page'],
    ['page_size=101', 'page_size'],
    ['is_active=yes', 'is_active'],
    ['is_superuser=', 'is_superuser'],
    ['ordering=password_hash', 'ordering'],
    ['search=%00', 'search'],
    ['search=a&search=b', 'search'],
  ])('are not listed by %s', async (query, field) => {
    const reply = await admin.get(`${PATH}?${query}`)
    expect(await answer(reply)).toEqual([400, { [field]: [expect.any(String)] }])
  })

  test('are found by their id alone', async () => {
    const { userId, email } = await aPerson(app, { isConfirmed: false })
    expect(await get(userId)).toMatchObject([
      200,
      { id: userId, email, is_active: false, confirmed_at: null },
    ])
    for (const id of ['999999', '0', '-1', 'x', '%00', '1e1', '9'.repeat(15), '9'.repeat(16)]) {
      expect(await answer(await admin.get(`${PATH}${id}/`))).toEqual(NOT_FOUND)
      expect(await answer(await admin.patch(`${PATH}${id}/`, {}))).toEqual(NOT_FOUND)
      expect(await answer(await admin.delete(`${PATH}${id}/`))).toEqual(NOT_FOUND)
      expect(await answer(await admin.post(`${PATH}${id}/reset/`))).toEqual(NOT_FOUND)
    }
  })

  test('are made with a password, and come in at once', async () => {
    const email = 'made@example.com'
    const [status, user] = await create({
      email: ' MADE@example.com ',
      password: NEW_PASSWORD,
      phone: '0123',
    })
    expect([status, user]).toMatchObject([
      201,
      { email, phone: '0123', is_active: true, is_superuser: false },
    ])
    expect((await logIn(app, { email, password: NEW_PASSWORD })).status).toBe(200)
    expect(await create({ email, password: NEW_PASSWORD })).toEqual([
      400,
      { email: ['User with this email already exists.'] },
    ])
    expect(await create({ email: 'other@example.com', password: 'iloveyou' })).toEqual([
      400,
      { password: ['This password is too common.'] },
    ])
    expect(await create({ is_superuser: 'true', phone: 5 })).toEqual([
      400,
      {
        email: ['This field is required.'],
        phone: ['Not a valid string.'],
        is_superuser: ['Must be a valid boolean.'],
      },
    ])
    expect(await eventsOf((user as User).id)).toEqual(['user_created'])
  })

  test('are made without a password, and choose it by mail', async () => {
    const email = 'invited@example.com'
    const [status, user] = await create({ email, is_superuser: true })
    expect([status, user]).toMatchObject([201, { is_active: false, confirmed_at: null }])
    const link = linkOf(await mailAbout(smtp, email, 'Reset Your Password'))
    const { uid, token } = Object.fromEntries(new URL(link ?? '').searchParams)
    const reset = { uid, token, new_password: NEW_PASSWORD }
    expect((await app.client().post('/users/reset-password/', reset)).status).toBe(200)
    const login = await logIn(app, { email, password: NEW_PASSWORD })
    expect(login.status).toBe(200)
    const { id } = user as User
    expect(await get(id)).toMatchObject([
      200,
      { is_active: true, is_superuser: true, confirmed_at: expect.any(String) as string },
    ])
    expect(await eventsOf(id)).toEqual(['user_created', 'user_promoted'])
    await edit(id, { is_superuser: false })
  })

  test('are made once for an address, of ten at once', async () => {
    const body = { email: 'crowd@example.com' }
    const replies = await Promise.all(Array.from({ length: 10 }, () => create(body)))
    expect(replies.filter(([status]) => status === 201)).toHaveLength(1)
    expect(replies.filter(([status]) => status === 400)).toHaveLength(9)
  })

  test('are corrected, and only in what is meant to be', async () => {
    const { userId, password, email } = await aPerson(app)
    expect(await edit(userId, { phone: '1', address: ' Here ' })).toMatchObject([
      200,
      { phone: '1', address: 'Here' },
    ])
    const reply = await edit(userId, {
      id: 1,
      email: 'mallory@example.com',
      password: NEW_PASSWORD,
      password_hash: 'x',
      confirmed_at: null,
      created_at: null,
    })
    expect(reply).toMatchObject([200, { id: userId, email }])
    expect((await logIn(app, { email, password })).status).toBe(200)
    expect(await edit(userId, { is_active: null, phone: '1'.repeat(21) })).toEqual([
      400,
      {
        is_active: ['This field may not be null.'],
        phone: ['Ensure this field has no more than 20 characters.'],
      },
    ])
    expect(await eventsOf(userId)).toEqual(['user_edited'])
  })

  test('are shut out at once, links and all, and let in again', async () => {
    const person = await aSignedInPerson(app)
    const link = await aResetLink(app, person)
    expect((await person.client.get('/users/me/')).status).toBe(200)
    expect(await edit(person.userId, { is_active: false })).toMatchObject([
      200,
      { is_active: false },
    ])
    expect(await answer(await person.client.get('/users/me/'))).toEqual([
      401,
      { detail: 'User is inactive', code: 'user_inactive' },
    ])
    expect((await logIn(app, person)).status).toBe(400)
    expect(await answer(await admin.post(`${PATH}${person.userId}/reset/`))).toEqual([
      409,
      { detail: 'This account is not active: activate it first.' },
    ])
    await edit(person.userId, { is_active: true })
    // What was ended stays ended.
    expect((await person.client.get('/users/me/')).status).toBe(401)
    expect((await person.client.post('/users/refresh/')).status).toBe(401)
    const reset = await app
      .client()
      .post('/users/reset-password/', { ...link, new_password: NEW_PASSWORD })
    expect(reset.status).toBe(400)
    expect((await logIn(app, person)).status).toBe(200)
    expect(await eventsOf(person.userId)).toEqual(['user_deactivated', 'user_activated'])
  })

  test('that never confirmed are shut out for good, whatever mail is on its way', async () => {
    const person = await aPerson(app, { isConfirmed: false })
    await edit(person.userId, { is_active: false })
    const user = await app.app.db
      .selectFrom('users')
      .selectAll()
      .where('id', '=', person.userId)
      .executeTakeFirstOrThrow()
    const { uid, token } = person.link
    for (const each of [token, await app.app.accounts.debugLink('confirm', user)]) {
      const opened = await app.client().get(`/users/confirm/?uid=${uid}&token=${each}`)
      expect(await answer(opened)).toEqual([400, { error: 'Invalid or expired token.' }])
    }
    const reset = {
      uid,
      token: await app.app.accounts.debugLink('reset', user),
      new_password: NEW_PASSWORD,
    }
    expect((await app.client().post('/users/reset-password/', reset)).status).toBe(400)
    expect(await aResetLink(app, person)).toBeUndefined()
    expect(await get(person.userId)).toMatchObject([200, { is_active: false }])
  })

  test('are promoted and demoted, which counts from the next request', async () => {
    const { client, userId } = await aSignedInPerson(app)
    expect((await client.get(PATH)).status).toBe(403)
    expect(await edit(userId, { is_superuser: true })).toMatchObject([200, { is_superuser: true }])
    expect((await client.get(PATH)).status).toBe(200)
    await edit(userId, { is_superuser: false })
    expect((await client.get(PATH)).status).toBe(403)
    await edit(userId, { is_superuser: false })
    expect(await eventsOf(userId)).toEqual(['user_promoted', 'user_demoted'])
  })

  test('get a reset mail', async () => {
    const person = await aPerson(app)
    const { userId, email } = person
    expect(await answer(await admin.post(`${PATH}${userId}/reset/`))).toEqual([
      200,
      { message: 'A reset link has been sent.' },
    ])
    const link = linkOf(await mailAbout(smtp, email, 'Reset Your Password'))
    const { uid, token } = Object.fromEntries(new URL(link ?? '').searchParams)
    expect((await logIn(app, person)).status).toBe(200)
    const reset = { uid, token, new_password: NEW_PASSWORD }
    expect((await app.client().post('/users/reset-password/', reset)).status).toBe(200)
    expect((await logIn(app, { email, password: NEW_PASSWORD })).status).toBe(200)
    expect(await eventsOf(userId)).toEqual(['reset_sent'])
  })

  test('are deleted, and signed out at once', async () => {
    const { client, userId } = await aSignedInPerson(app)
    expect((await client.get('/users/me/')).status).toBe(200)
    const reply = await admin.delete(`${PATH}${userId}/`)
    expect([reply.status, await reply.text()]).toEqual([204, ''])
    expect(await answer(await client.get('/users/me/'))).toEqual([
      401,
      { detail: 'User not found', code: 'user_not_found' },
    ])
    expect(await get(userId)).toEqual(NOT_FOUND)
    expect(await answer(await admin.delete(`${PATH}${userId}/`))).toEqual(NOT_FOUND)
    expect(await eventsOf(userId)).toEqual(['account_deleted'])
  })

  test('do not lose their own account by a slip', async () => {
    expect(await edit(adminId, { is_active: false })).toEqual([
      409,
      { detail: 'You cannot deactivate your own account.' },
    ])
    expect(await answer(await admin.delete(`${PATH}${adminId}/`))).toEqual([
      409,
      { detail: 'Delete your own account with DELETE /users/me/.' },
    ])
    expect(await edit(adminId, { phone: '1', is_active: true })).toMatchObject([
      200,
      { phone: '1', is_active: true },
    ])
  })
})

describe.each(BACKENDS)('of superusers there is always one, on %s', (backend) => {
  const superusersOf = (app: TestApp) =>
    app.app.db
      .selectFrom('users')
      .select('id')
      .where('is_superuser', '=', true)
      .where('is_active', '=', true)
      .execute()

  test('who cannot step down alone', async () => {
    await using app = await startApp({ backend })
    const admin = await app.superuser()
    const { id } = (await (await admin.get('/users/me/')).json()) as User
    // Neither of these counts.
    await aPerson(app)
    const shut = await aSuperuser(app, 'shut@example.com')
    await admin.patch(`${PATH}${shut.id}/`, { is_active: false })
    const refused = await admin.patch(`${PATH}${id}/`, { is_superuser: false, phone: '1' })
    expect(await answer(refused)).toEqual([
      409,
      { detail: 'This is the last superuser: make somebody else a superuser first.' },
    ])
    expect(await (await admin.get('/users/me/')).json()).toMatchObject({
      is_superuser: true,
      phone: null,
    })
    await admin.patch(`${PATH}${shut.id}/`, { is_active: true })
    expect((await admin.patch(`${PATH}${id}/`, { is_superuser: false })).status).toBe(200)
    expect((await admin.get(PATH)).status).toBe(403)
  })

  const ATTACKS: [string, (client: Client, id: number) => Promise<Response>][] = [
    ['demote', (client, id) => client.patch(`${PATH}${id}/`, { is_superuser: false })],
    ['deactivate', (client, id) => client.patch(`${PATH}${id}/`, { is_active: false })],
    ['delete', (client, id) => client.delete(`${PATH}${id}/`)],
  ]
  test.each(ATTACKS)('when all %s each other at once', async (_what, attack) => {
    await using app = await startApp({ backend })
    const people = [await aSuperuser(app, 'a@example.com'), await aSuperuser(app, 'b@example.com')]
    const first = await app.superuser()
    const { id } = (await (await first.get('/users/me/')).json()) as User
    people.push({ client: first, id })
    for (const { client } of people) expect((await client.get(PATH)).status).toBe(200)
    const replies = await Promise.all(
      people.flatMap(({ client, id: own }) =>
        people.filter((other) => other.id !== own).map((other) => attack(client, other.id)),
      ),
    )
    for (const { status } of replies) expect([200, 204, 401, 403, 404]).toContain(status)
    expect(await superusersOf(app)).toHaveLength(1)
  })

  test('when all step down at once', async () => {
    await using app = await startApp({ backend })
    const admin = await app.superuser()
    const { id } = (await (await admin.get('/users/me/')).json()) as User
    const others = [await aSuperuser(app, 'a@example.com'), await aSuperuser(app, 'b@example.com')]
    const replies = await Promise.all(
      [{ client: admin, id }, ...others].map((one) =>
        one.client.patch(`${PATH}${one.id}/`, { is_superuser: false }),
      ),
    )
    expect(replies.map(({ status }) => status).toSorted((one, other) => one - other)).toEqual([
      200, 200, 409,
    ])
    expect(await superusersOf(app)).toHaveLength(1)
  })
})
