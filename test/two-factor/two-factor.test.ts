import { Secret, TOTP } from 'otpauth'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS, startApp, SUPERUSER, THIS_PROCESS, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'

const PASSWORD = 'a viewer’s own password'
const STEP_MS = 30_000
const LONGEST_WAIT_MS = 15 * 60_000

describe.each(BACKENDS)('one-time codes on %s', (backend) => {
  let videoflix: TestApp
  beforeAll(async () => void (videoflix = await startApp({ backend })))
  afterAll(() => videoflix.stop())

  /** A person with an authenticator app. */
  interface Person {
    email: string
    client: Client
    recoveryCodes: string[]
    secret: string
    /** The code that the app shows now. */
    code: () => string
    /** The code after that, which no login has used: waits half a minute of the test's clock. */
    nextCode: () => string
    login: (otp?: string | null, password?: string) => Promise<Response>
  }

  let people = 0

  async function aPerson(): Promise<Person> {
    const email = `person${++people}@example.com`
    const client = await videoflix.viewer(email)
    return personOf(email, client, PASSWORD, '', [])
  }

  function personOf(
    email: string,
    client: Client,
    right: string,
    secret: string,
    recoveryCodes: string[],
  ): Person {
    const code = () =>
      new TOTP({ secret: Secret.fromBase32(secret) }).generate({
        timestamp: videoflix.clock.now().getTime(),
      })
    return {
      email,
      client,
      secret,
      recoveryCodes,
      code,
      nextCode: () => {
        videoflix.clock.advance(STEP_MS)
        return code()
      },
      login: (otp, password = right) =>
        videoflix
          .client()
          .post('/users/login/', { email, password, ...(otp !== undefined && { otp }) }),
    }
  }

  async function anEnrolledPerson(): Promise<Person> {
    const { email, client } = await aPerson()
    return await enrol(email, client, PASSWORD)
  }

  async function enrol(email: string, client: Client, password: string): Promise<Person> {
    const offered = await client.post('/users/me/totp/', { password })
    const { secret } = (await offered.json()) as { secret: string }
    const person = personOf(email, client, password, secret, [])
    const confirmed = await put(client, { code: person.code() })
    expect(confirmed.status).toBe(200)
    const { recovery_codes: codes } = (await confirmed.json()) as { recovery_codes: string[] }
    return personOf(email, client, password, secret, codes)
  }

  const put = (client: Client, body: unknown) =>
    client.request('/users/me/totp/', { method: 'PUT', ...json(body) })
  const turnOff = (client: Client, body: unknown) => client.delete('/users/me/totp/', json(body))
  const json = (body: unknown) => ({
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
  })

  const userOf = (email: string) =>
    videoflix.app.db
      .selectFrom('users')
      .selectAll()
      .where('email', '=', email)
      .executeTakeFirstOrThrow()

  async function eventsOf(email: string): Promise<string[]> {
    const rows = await videoflix.app.db
      .selectFrom('audit')
      .innerJoin('users', 'users.id', 'audit.user_id')
      .select('event')
      .where('email', '=', email)
      .orderBy('audit.id')
      .execute()
    return rows.map(({ event }) => event)
  }

  const REQUIRED = { detail: 'A one-time code is required.', code: 'otp_required' }
  const INVALID = { detail: 'The one-time code is not valid.', code: 'otp_invalid' }

  async function expectRefusal(reply: Response, body: object): Promise<void> {
    expect(await reply.json()).toEqual(body)
    expect(reply.status).toBe(401)
    expect(reply.headers.getSetCookie()).toEqual([])
  }

  test('enrolling: a secret, a picture of it, a code, and from then on it is asked for', async () => {
    const { email, client, login } = await aPerson()
    expect(await (await client.get('/users/me/totp/')).json()).toEqual({
      enabled: false,
      recovery_codes_left: 0,
    })
    const offered = await client.post('/users/me/totp/', { password: PASSWORD })
    expect(offered.status).toBe(200)
    expect(offered.headers.get('cache-control')).toBe('no-store')
    const offer = (await offered.json()) as { secret: string; otpauth_url: string; qr_svg: string }
    expect(offer.otpauth_url).toContain(`secret=${offer.secret}`)
    expect(offer.otpauth_url).toContain(encodeURIComponent(email))
    expect(offer.qr_svg).toMatch(/^<svg /)
    expect((await login()).status, 'not asked for before it is confirmed').toBe(200)

    const person = personOf(email, client, PASSWORD, offer.secret, [])
    const wrong = await put(client, { code: '000000' })
    expect([wrong.status, await wrong.json()]).toEqual([400, { code: [INVALID.detail] }])
    const right = await put(client, { code: person.code() })
    const { recovery_codes: codes } = (await right.json()) as { recovery_codes: string[] }
    expect(new Set(codes).size).toBe(10)
    expect(await (await client.get('/users/me/totp/')).json()).toEqual({
      enabled: true,
      recovery_codes_left: 10,
    })

    await expectRefusal(await login(), REQUIRED)
    await expectRefusal(await login(null), REQUIRED)
    await expectRefusal(await login(''), REQUIRED)
    await expectRefusal(await login(person.code()), INVALID)
    const loggedIn = await login(person.nextCode())
    expect(loggedIn.status).toBe(200)
    expect(loggedIn.headers.getSetCookie()).toHaveLength(2)
    expect(await loggedIn.json()).toMatchObject({ email, favorite_videos: [] })
    expect(await eventsOf(email)).toEqual(
      expect.arrayContaining(['totp_enabled', 'totp_failed', 'login']),
    )
  })

  test('superusers may, and everything takes a session', async () => {
    const admin = await videoflix.superuser()
    expect((await admin.get('/users/me/totp/')).status).toBe(200)
    const stranger = videoflix.client()
    const replies = [
      await stranger.get('/users/me/totp/'),
      await stranger.post('/users/me/totp/', { password: PASSWORD }),
      await put(stranger, { code: '123456' }),
      await turnOff(stranger, { password: PASSWORD, code: '123456' }),
      await stranger.post('/users/me/totp/recovery-codes/', { password: PASSWORD, code: '123456' }),
    ]
    expect(replies.map(({ status }) => status)).toEqual([401, 401, 401, 401, 401])
  })

  test('a wrong password, an unknown user and an inactive one look as ever', async () => {
    const person = await anEnrolledPerson()
    expect((await person.login(person.nextCode())).status).toBe(200)
    const otp = person.nextCode()
    const replies = [
      await person.login(otp, 'not the password'),
      await person.login(undefined, 'not the password'),
      await videoflix
        .client()
        .post('/users/login/', { email: 'nobody@example.com', password: PASSWORD, otp }),
    ]
    for (const reply of replies) {
      expect([reply.status, await reply.json()]).toEqual([
        400,
        { non_field_errors: ['Invalid credentials or inactive user.'] },
      ])
    }
    expect((await person.login(otp)).status, 'no wrong password used the code up').toBe(200)
    await videoflix.app.db
      .updateTable('users')
      .set({ is_active: false })
      .where('email', '=', person.email)
      .execute()
    expect((await person.login()).status).toBe(400)
  })

  test('a code works once, also for thirty logins at once', async () => {
    const person = await anEnrolledPerson()
    await expectRefusal(await person.login(person.code()), INVALID)
    const code = person.nextCode()
    const replies = await Promise.all(Array.from({ length: 30 }, () => person.login(code)))
    const statuses = replies.map(({ status }) => status)
    expect(statuses.filter((status) => status === 200)).toHaveLength(1)
    expect(statuses.every((status) => [200, 401, 429].includes(status))).toBe(true)
  })

  test('a code of the step before or after is accepted, an older one or an earlier step is not', async () => {
    const person = await anEnrolledPerson()
    const code = person.nextCode()
    videoflix.clock.advance(STEP_MS)
    expect((await person.login(code)).status, 'one step late').toBe(200)
    videoflix.clock.advance(2 * STEP_MS)
    const old = person.code()
    videoflix.clock.advance(2 * STEP_MS)
    await expectRefusal(await person.login(old), INVALID)
    expect((await person.login(person.code())).status).toBe(200)
    videoflix.clock.advance(STEP_MS)
    const early = person.code()
    videoflix.clock.advance(-STEP_MS)
    expect((await person.login(early)).status, 'one step early').toBe(200)
    await expectRefusal(await person.login(person.code()), INVALID)
    videoflix.clock.advance(STEP_MS)
  })

  test('a recovery code stands in once, also for thirty logins at once, and is counted', async () => {
    const person = await anEnrolledPerson()
    const [first = '', second = ''] = person.recoveryCodes
    const replies = await Promise.all(Array.from({ length: 30 }, () => person.login(first)))
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(await (await person.client.get('/users/me/totp/')).json()).toEqual({
      enabled: true,
      recovery_codes_left: 9,
    })
    const typed = ` ${second.toUpperCase().replaceAll('-', ' ')} `
    expect((await person.login(typed)).status).toBe(200)
    expect(
      (await eventsOf(person.email)).filter((event) => event === 'recovery_code_used'),
    ).toHaveLength(2)
    const stranger = await anEnrolledPerson()
    await expectRefusal(await stranger.login(person.recoveryCodes[2] ?? ''), INVALID)
  })

  test('five wrong codes have to wait, longer each time; a recovery code passes', async () => {
    const person = await anEnrolledPerson()
    const wrong = () => (person.code() === '000000' ? '111111' : '000000')
    for (let guess = 1; guess <= 5; guess += 1)
      await expectRefusal(await person.login(wrong()), INVALID)
    const blocked = await person.login(person.nextCode())
    const waits: number[] = []
    // `nextCode` has waited for thirty seconds already: the first wait is over.
    expect(blocked.status).toBe(200)

    for (let guess = 1; guess <= 5; guess += 1)
      await expectRefusal(await person.login(wrong()), INVALID)
    for (let round = 1; round <= 7; round += 1) {
      const reply = await person.login(wrong())
      expect(reply.status).toBe(429)
      const seconds = Number(reply.headers.get('retry-after'))
      expect(await reply.json()).toEqual({
        detail: `Request was throttled. Expected available in ${seconds} seconds.`,
      })
      expect(reply.headers.getSetCookie()).toEqual([])
      waits.push(seconds)
      const right = await person.login(person.code())
      expect(right.status, 'the right code has to wait as well').toBe(429)
      videoflix.clock.advance(seconds * 1000)
      await expectRefusal(await person.login(wrong()), INVALID)
    }
    expect(waits.map((seconds) => Math.round(seconds / 30))).toEqual([1, 2, 4, 8, 16, 30, 30])
    await expectRefusal(await person.login(), REQUIRED)
    expect((await person.login(person.recoveryCodes[0])).status).toBe(200)
    expect((await person.login(person.nextCode())).status, 'and forgives').toBe(200)
  })

  test('a hundred guesses at once count one by one', async () => {
    const person = await anEnrolledPerson()
    const guesses = Array.from({ length: 100 }, (_, at) => String(100_000 + at))
    const right = person.nextCode()
    const replies = await Promise.all(
      guesses.filter((guess) => guess !== right).map((guess) => person.login(guess)),
    )
    const looked = replies.filter(({ status }) => status === 401)
    expect(looked).toHaveLength(5)
    videoflix.clock.advance(LONGEST_WAIT_MS)
  })

  test('turning it off takes the password and a code', async () => {
    const person = await anEnrolledPerson()
    const { client } = person
    const refusals = [
      await turnOff(client, { password: PASSWORD }),
      await turnOff(client, { code: person.nextCode() }),
      await turnOff(client, { password: 'not the password', code: person.code() }),
      await turnOff(client, { password: PASSWORD, code: '000000' }),
      await client.post('/users/me/totp/recovery-codes/', { password: PASSWORD, code: '000000' }),
    ]
    expect(refusals.map(({ status }) => status)).toEqual([400, 400, 400, 400, 400])
    expect(await refusals[2]?.json()).toEqual({ password: ['The password is wrong.'] })
    expect(await refusals[3]?.json()).toEqual({ code: [INVALID.detail] })
    await expectRefusal(await person.login(), REQUIRED)

    const off = await turnOff(client, { password: PASSWORD, code: person.code() })
    expect([off.status, await off.json()]).toEqual([200, { message: 'One-time codes are off.' }])
    expect((await person.login()).status).toBe(200)
    expect(await (await client.get('/users/me/totp/')).json()).toEqual({
      enabled: false,
      recovery_codes_left: 0,
    })
    const again = await turnOff(client, { password: PASSWORD, code: person.nextCode() })
    expect(again.status).toBe(409)
    expect(await eventsOf(person.email)).toContain('totp_disabled')
  })

  test('a superuser turns it off for somebody who has lost phone and codes, not for themselves', async () => {
    const person = await anEnrolledPerson()
    const { id } = await userOf(person.email)
    const path = `/admin/api/users/${id}/totp/`
    expect((await videoflix.client().delete(path)).status).toBe(401)
    expect((await person.client.delete(path)).status).toBe(403)
    await expectRefusal(await person.login(), REQUIRED)
    const admin = await videoflix.superuser()
    expect((await admin.delete(path)).status).toBe(204)
    expect((await person.login()).status).toBe(200)
    expect(await eventsOf(person.email)).toContain('totp_disabled')

    const own = await userOf(SUPERUSER.email)
    const missing = [path, '/admin/api/users/0/totp/', '/admin/api/users/x/totp/']
    for (const each of [...missing, `/admin/api/users/${'9'.repeat(40)}/totp/`]) {
      expect((await admin.delete(each)).status).toBe(404)
    }
    expect((await admin.delete(`/admin/api/users/${own.id}/totp/`)).status).toBe(409)
  })

  test('new recovery codes void the old ones', async () => {
    const person = await anEnrolledPerson()
    const proof = { password: PASSWORD, code: person.nextCode() }
    const renewed = await person.client.post('/users/me/totp/recovery-codes/', proof)
    const { recovery_codes: codes } = (await renewed.json()) as { recovery_codes: string[] }
    expect(codes).toHaveLength(10)
    await expectRefusal(await person.login(person.recoveryCodes[0]), INVALID)
    expect((await person.login(codes[0])).status).toBe(200)
  })

  test('what is on cannot be offered or confirmed again, and an offer takes the password', async () => {
    const { client, ...person } = await anEnrolledPerson()
    expect((await client.post('/users/me/totp/', { password: PASSWORD })).status).toBe(409)
    expect((await put(client, { code: person.nextCode() })).status).toBe(409)
    const other = await aPerson()
    expect((await put(other.client, { code: '123456' })).status, 'never offered').toBe(409)
    for (const password of ['not the password', '']) {
      expect((await other.client.post('/users/me/totp/', { password })).status).toBe(400)
    }
    const offers = await Promise.all(
      [1, 2].map(() => other.client.post('/users/me/totp/', { password: PASSWORD })),
    )
    expect(offers.map(({ status }) => status)).toEqual([200, 200])
  })

  test('no odd code does more than be wrong', async () => {
    const person = await anEnrolledPerson()
    const statuses: number[] = []
    for (const otp of [
      123456,
      true,
      [],
      {},
      '\0',
      '\ud800',
      'x'.repeat(65),
      'é'.repeat(64),
      '１２３４５６',
    ]) {
      const reply = await videoflix
        .client()
        .post('/users/login/', { email: person.email, password: PASSWORD, otp })
      statuses.push(reply.status)
    }
    expect(statuses).toEqual([400, 400, 400, 400, 400, 400, 400, 401, 401])
  })

  test('neither secret nor codes can be read out of the database or the log', async () => {
    const person = await anEnrolledPerson()
    expect((await person.login(person.recoveryCodes[0])).status).toBe(200)
    const { db } = videoflix.app
    const kept = JSON.stringify([
      await db.selectFrom('totp').selectAll().execute(),
      await db.selectFrom('recovery_codes').selectAll().execute(),
      await db.selectFrom('audit').selectAll().execute(),
      videoflix.logs,
    ])
    expect(kept).toContain('recovery_code_used')
    for (const secret of [person.secret, ...person.recoveryCodes]) {
      expect(kept).not.toContain(secret)
      expect(kept).not.toContain(secret.replaceAll('-', ''))
    }
  })

  test('a reset password does not turn it off, and a deleted user leaves nothing', async () => {
    const person = await anEnrolledPerson()
    const { db, accounts } = videoflix.app
    const user = await db
      .selectFrom('users')
      .selectAll()
      .where('email', '=', person.email)
      .executeTakeFirstOrThrow()
    const token = await accounts.debugLink('reset', user)
    const password = 'another fine password'
    await accounts.resetPassword({ userId: user.id, token, password }, '127.0.0.1')
    await expectRefusal(await person.login(undefined, password), REQUIRED)
    expect((await person.login(person.nextCode(), password)).status).toBe(200)
    await db.deleteFrom('users').where('id', '=', user.id).execute()
    const left = await db
      .selectFrom('totp')
      .select('user_id')
      .where('user_id', '=', user.id)
      .execute()
    expect(left).toEqual([])
  })
})

test('a secret survives a new SECRET_KEY, and is sealed under it at the next login', async () => {
  const secretOf = (character: string) => `${character}J8s2-kQ9f-Lw3x-Zp7v-Rt5m-Yb4n-Hc6d-Ge1a`
  await using first = await startApp({ env: { SECRET_KEY: secretOf('a') } })
  const client = await first.viewer('rotating@example.com')
  const offer = await client.post('/users/me/totp/', { password: PASSWORD })
  const { secret } = (await offer.json()) as { secret: string }
  const totp = new TOTP({ secret: Secret.fromBase32(secret) })
  await client.request('/users/me/totp/', {
    method: 'PUT',
    body: JSON.stringify({ code: totp.generate() }),
    headers: { 'content-type': 'application/json' },
  })
  const sealed = await first.app.db.selectFrom('totp').select('sealed_secret').executeTakeFirst()

  const { createApp } = await import('../../server/src/app.ts')
  const { pino } = await import('pino')
  async function loginAfter(keys: { secretKey: string; secretKeyFallbacks: string[] }) {
    first.clock.advance(STEP_MS)
    const app = await createApp({
      settings: { ...first.settings, ...keys },
      backendOrigin: first.origin,
      log: pino({ level: 'silent' }),
      clock: first.clock,
    })
    const server = await app.createServer(THIS_PROCESS)
    const reply = await server.inject({
      method: 'POST',
      url: '/users/login/',
      headers: { host: '127.0.0.1' },
      payload: {
        email: 'rotating@example.com',
        password: PASSWORD,
        otp: totp.generate({ timestamp: first.clock.now().getTime() }),
      },
    })
    await server.close()
    await app.close()
    return reply.statusCode
  }
  const rotated = { secretKey: secretOf('b'), secretKeyFallbacks: [secretOf('a')] }
  expect(await loginAfter({ secretKey: secretOf('b'), secretKeyFallbacks: [] })).toBe(401)
  expect(await loginAfter(rotated)).toBe(200)
  const resealed = await first.app.db.selectFrom('totp').select('sealed_secret').executeTakeFirst()
  expect(resealed).not.toEqual(sealed)
  expect(await loginAfter({ secretKey: secretOf('b'), secretKeyFallbacks: [] })).toBe(200)
})
