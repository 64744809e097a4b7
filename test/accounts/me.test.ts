import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS, startApp, SUPERUSER, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import type { Smtp } from '../harness/smtp.ts'
import { mailAbout, startAppWithMail } from './mailbox.ts'
import { aPerson, aResetLink, aSignedInPerson, logIn, type Person } from './person.ts'

const NEW_PASSWORD = 'four lamps in a row'
const WRONG = ['The password is wrong.']

const answer = async (reply: Response) => [reply.status, await reply.json()]
const deleteMe = (client: Client, body: object) =>
  client.delete('/users/me/', {
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
  })

describe.each(BACKENDS)('one’s own account, on %s', (backend) => {
  let app: TestApp
  let smtp: Smtp
  beforeAll(async () => void ({ app, smtp } = await startAppWithMail(backend)))
  afterAll(async () => {
    await app.stop()
    await smtp.stop()
  })

  const userOf = ({ userId }: Person) =>
    app.app.db.selectFrom('users').selectAll().where('id', '=', userId).executeTakeFirstOrThrow()
  const changePassword = (client: Client, current: string, chosen: string) =>
    client.post('/users/me/password/', { current_password: current, new_password: chosen })

  test('is shown to its owner, and nothing that is secret', async () => {
    const { client, email, userId } = await aSignedInPerson(app)
    expect(await answer(await client.get('/users/me/'))).toEqual([
      200,
      {
        id: userId,
        username: email,
        email,
        phone: null,
        address: null,
        favorite_videos: [],
        is_superuser: false,
        two_factor: false,
      },
    ])
    const admin = await app.superuser()
    expect(await (await admin.get('/users/me/')).json()).toMatchObject({
      email: SUPERUSER.email,
      is_superuser: true,
    })
  })

  test('takes a phone number and an address', async () => {
    const { client } = await aSignedInPerson(app)
    const edit = async (body: object) => await answer(await client.patch('/users/me/', body))
    expect(await edit({ phone: ' 0123 ', address: 'Here 1' })).toMatchObject([
      200,
      { phone: '0123', address: 'Here 1' },
    ])
    expect(await edit({ phone: null })).toMatchObject([200, { phone: null, address: 'Here 1' }])
    expect(await edit({})).toMatchObject([200, { phone: null, address: 'Here 1' }])
    expect(await edit({ phone: '1'.repeat(21), address: 'a'.repeat(121) })).toEqual([
      400,
      {
        phone: ['Ensure this field has no more than 20 characters.'],
        address: ['Ensure this field has no more than 120 characters.'],
      },
    ])
    expect(await edit({ phone: 5, address: 'a\0' })).toEqual([
      400,
      { phone: ['Not a valid string.'], address: ['Null characters are not allowed.'] },
    ])
    expect(await answer(await client.patch('/users/me/', [1]))).toEqual([
      400,
      { non_field_errors: ['Invalid data. Expected a dictionary, but got list.'] },
    ])
  })

  test('takes nothing else', async () => {
    const person = await aSignedInPerson(app)
    const before = await userOf(person)
    const reply = await person.client.patch('/users/me/', {
      phone: '0123',
      id: 1,
      email: 'mallory@example.com',
      username: 'mallory',
      password: NEW_PASSWORD,
      password_hash: 'x',
      is_superuser: true,
      is_active: false,
      is_staff: true,
      confirmed_at: null,
      created_at: '2000-01-01T00:00:00Z',
      favorite_videos: [1],
      two_factor: true,
    })
    expect(reply.status).toBe(200)
    expect(await userOf(person)).toEqual({ ...before, phone: '0123' })
  })

  test('gets a new password for the old one', async () => {
    const person = await aSignedInPerson(app)
    const { client, email, password } = person
    const link = await aResetLink(app, person)
    const elsewhere = app.client()
    await elsewhere.post('/users/login/', { email, password })
    expect((await elsewhere.get('/users/me/')).status).toBe(200)
    const stolen = app.client()
    for (const [name, value] of client.cookies) stolen.cookies.set(name, value)
    expect((await stolen.get('/users/me/')).status).toBe(200)

    const reply = await changePassword(client, password, NEW_PASSWORD)
    expect(await answer(reply)).toEqual([
      200,
      { message: 'Password has been changed successfully.' },
    ])
    expect((await client.get('/users/me/')).status).toBe(200)
    expect((await client.post('/users/refresh/')).status).toBe(200)
    for (const other of [elsewhere, stolen]) {
      expect((await other.get('/users/me/')).status).toBe(401)
      expect((await other.post('/users/refresh/')).status).toBe(401)
    }
    expect((await logIn(app, person)).status).toBe(400)
    expect((await logIn(app, { email, password: NEW_PASSWORD })).status).toBe(200)
    const reset = await app
      .client()
      .post('/users/reset-password/', { ...link, new_password: 'five lamps in a row' })
    expect(await answer(reset)).toEqual([400, { error: 'Invalid or expired token.' }])
    const mail = await mailAbout(smtp, email, 'Your Videoflix password was changed')
    expect(mail.text).toContain(email)
  })

  test('gets no longer session by a new password', async () => {
    const { client, password } = await aSignedInPerson(app, { remember: true })
    app.clock.advance(200_000_000)
    expect((await client.post('/users/refresh/')).status).toBe(200)
    const reply = await changePassword(client, password, NEW_PASSWORD)
    expect(reply.status).toBe(200)
    const [access = '', refresh = ''] = reply.headers.getSetCookie()
    expect(access).toMatch(/^vf_access=[\w.-]+; Max-Age=300; Path=\/; HttpOnly; SameSite=Lax$/)
    const left = Number(/^vf_refresh=[\w.-]+; Max-Age=(\d+);/.exec(refresh)?.[1])
    expect(left).toBeGreaterThan(404_000)
    expect(left).toBeLessThanOrEqual(404_800)
  })

  test('refuses a wrong or a weak password, field by field', async () => {
    const { client, email, password } = await aSignedInPerson(app)
    const post = async (body: object) =>
      await answer(await client.post('/users/me/password/', body))
    const required = ['This field is required.']
    expect(await post({})).toEqual([400, { current_password: required, new_password: required }])
    expect(await post({ current_password: 'wrong', new_password: NEW_PASSWORD })).toEqual([
      400,
      { current_password: WRONG },
    ])
    const weak = async (chosen: unknown) =>
      await post({ current_password: password, new_password: chosen })
    expect(await weak('iloveyou')).toEqual([
      400,
      { new_password: ['This password is too common.'] },
    ])
    expect(await weak(email)).toEqual([
      400,
      { new_password: ['The password is too similar to the email.'] },
    ])
    expect(await weak('a\0aaaaaaaa')).toEqual([
      400,
      { new_password: ['Null characters are not allowed.'] },
    ])
    expect(await weak(5)).toEqual([400, { new_password: ['Not a valid string.'] }])
    expect((await logIn(app, { email, password })).status).toBe(200)
  })

  test('takes one of ten new passwords that come at once', async () => {
    const { client, email, password } = await aSignedInPerson(app)
    const cookie = [...client.cookies].map((pair) => pair.join('=')).join('; ')
    const chosen = Array.from({ length: 10 }, (_, at) => `${NEW_PASSWORD} ${at}`)
    const replies = await Promise.all(
      chosen.map((next) =>
        app
          .client()
          .post(
            '/users/me/password/',
            { current_password: password, new_password: next },
            { headers: { cookie } },
          ),
      ),
    )
    const winners = chosen.filter((_, at) => replies[at]?.status === 200)
    expect(winners).toHaveLength(1)
    expect((await logIn(app, { email, password: winners[0] ?? '' })).status).toBe(200)
  })

  test('has no session left that was begun with the old password meanwhile', async () => {
    const { client, email, password } = await aSignedInPerson(app)
    const others = Array.from({ length: 12 }, () => app.client())
    const logins = others.map((other) => other.post('/users/login/', { email, password }))
    const [changed] = await Promise.all([changePassword(client, password, NEW_PASSWORD), ...logins])
    expect(changed.status).toBe(200)
    for (const other of others) {
      expect((await other.get('/users/me/')).status).toBe(401)
      expect((await other.post('/users/refresh/')).status).toBe(401)
    }
    expect((await client.get('/users/me/')).status).toBe(200)
  })

  test.runIf(backend === 'postgres')(
    'lets nobody in whose password was right until a moment ago',
    async () => {
      const person = await aSignedInPerson(app)
      let login: Promise<Response> | undefined
      await app.app.db.transaction().execute(async (trx) => {
        await trx
          .updateTable('users')
          .set({ password_changed_at: new Date(), password_hash: 'another' })
          .where('id', '=', person.userId)
          .execute()
        login = logIn(app, person)
        await Promise.race([login, untilSomebodyWaits()])
      })
      const reply = await login
      expect(reply?.status).toBe(401)
      expect(reply?.headers.getSetCookie()).toEqual([])
    },
  )

  async function untilSomebodyWaits(): Promise<void> {
    for (;;) {
      const { rows } = await sql`
        select pid from pg_stat_activity
        where wait_event_type = 'Lock' and datname = current_database()`.execute(app.app.db)
      if (rows.length > 0) return
      await sleep(10)
    }
  }

  test('is deleted with everything that belongs to it', async () => {
    const person = await aSignedInPerson(app)
    const { client, email, password, userId } = person
    const { db } = app.app
    const video = await db
      .insertInto('videos')
      .values({
        title: `A film for ${email}`,
        description: '',
        category: 'Other',
        created_at: new Date(),
        updated_at: new Date(),
        published_source_id: null,
        source_id: null,
      })
      .returning('id')
      .executeTakeFirstOrThrow()
    await client.post('/content/add-favorite/', { video_id: video.id })
    await client.post('/users/me/totp/', { password })
    await aResetLink(app, person)
    await db
      .insertInto('identities')
      .values({ issuer: 'https://id', subject: email, user_id: userId, created_at: new Date() })
      .execute()
    const owned = ['sessions', 'links', 'favorites', 'totp', 'identities'] as const
    const left = async () => {
      const counts = await Promise.all(
        owned.map((table) =>
          db.selectFrom(table).select('user_id').where('user_id', '=', userId).execute(),
        ),
      )
      return counts.map(({ length }) => length > 0)
    }
    expect(await left()).toEqual(owned.map(() => true))

    expect(await answer(await deleteMe(client, {}))).toEqual([
      400,
      { password: ['This field is required.'] },
    ])
    expect(await answer(await deleteMe(client, { password: 'wrong' }))).toEqual([
      400,
      { password: WRONG },
    ])
    const tokens = new Map(client.cookies)
    const reply = await deleteMe(client, { password })
    expect([reply.status, await reply.text()]).toEqual([204, ''])
    expect(client.cookies.size).toBe(0)
    for (const [name, value] of tokens) client.cookies.set(name, value)
    expect(await answer(await client.get('/users/me/'))).toEqual([
      401,
      { detail: 'User not found', code: 'user_not_found' },
    ])
    expect(await answer(await client.post('/users/refresh/'))).toEqual([
      401,
      { error: 'Invalid refresh token.' },
    ])
    expect(await left()).toEqual(owned.map(() => false))
    const tasks = await db
      .selectFrom('tasks')
      .select('id')
      .where('subject', '=', `user:${userId}`)
      .execute()
    expect(tasks).toEqual([])
    const entries = await db
      .selectFrom('audit')
      .selectAll()
      .where('event', '=', 'account_deleted')
      .where('user_id', '=', userId)
      .execute()
    expect(entries).toMatchObject([{ address: null, by_user_id: null, details: {} }])
    expect((await logIn(app, person)).status).toBe(400)
    // The address is free, and its next owner is somebody else.
    const again = await app
      .client()
      .post('/users/register/', { email, password, confirm_password: password })
    expect(again.status).toBe(201)
    expect(
      await db.selectFrom('users').select('id').where('email', '=', email).execute(),
    ).not.toEqual([{ id: userId }])
  })

  test('is deleted once, whoever asks how often', async () => {
    const { client, password } = await aSignedInPerson(app)
    const cookie = [...client.cookies].map((pair) => pair.join('=')).join('; ')
    const replies = await Promise.all(
      Array.from({ length: 8 }, () => {
        const other = app.client()
        other.headers = { cookie }
        return deleteMe(other, { password })
      }),
    )
    const statuses = replies.map(({ status }) => status)
    expect(statuses.filter((status) => status === 204)).toHaveLength(1)
    for (const status of statuses) expect([204, 400, 401]).toContain(status)
  })

  test('of somebody not confirmed or not signed in is nobody’s', async () => {
    await aPerson(app, { isConfirmed: false })
    expect((await app.client().get('/users/me/')).status).toBe(401)
    expect((await app.client().patch('/users/me/', { phone: '1' })).status).toBe(401)
    expect((await deleteMe(app.client(), { password: 'x' })).status).toBe(401)
  })
})

test.each(BACKENDS)('the last superuser stays, on %s', async (backend) => {
  await using app = await startApp({ backend })
  const first = await app.superuser()
  const { password } = SUPERUSER
  const refused = await deleteMe(first, { password })
  expect(await answer(refused)).toEqual([
    409,
    { detail: 'You are the last superuser: make somebody else a superuser first.' },
  ])
  expect((await first.get('/users/me/')).status).toBe(200)

  const email = 'second@example.com'
  await app.app.accounts.createSuperuser({ email, password, username: null })
  const second = app.client()
  await second.post('/users/login/', { email, password })
  const replies = await Promise.all([first, second].map((client) => deleteMe(client, { password })))
  expect(replies.map(({ status }) => status).toSorted((one, other) => one - other)).toEqual([
    204, 409,
  ])
  const left = await app.app.db
    .selectFrom('users')
    .select('id')
    .where('is_superuser', '=', true)
    .execute()
  expect(left).toHaveLength(1)
})

test('guesses with a stolen session count like those at signing in', async () => {
  await using app = await startApp({ env: { RATE_LIMIT_LOGIN_ACCOUNT: '3/min' } })
  const { client, password } = await aSignedInPerson(app)
  const guess = (current: string) =>
    client.post('/users/me/password/', { current_password: current, new_password: NEW_PASSWORD })
  for (const wrong of ['one', 'two', 'three', 'four']) {
    expect((await guess(wrong)).status).toBe(400)
  }
  expect((await guess(password)).status).toBe(429)
  expect((await deleteMe(client, { password })).status).toBe(429)
  const reply = await client.post('/users/me/email/', { email: 'a@example.com', password })
  expect(reply.status).toBe(429)
  expect(Number(reply.headers.get('retry-after'))).toBeGreaterThan(0)
})
