import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aSignedInPerson, type Person } from '../accounts/person.ts'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'

describe.each(BACKENDS)('refreshing, on %s', (backend) => {
  let app: TestApp
  beforeAll(async () => {
    app = await startApp({ backend })
  })
  afterAll(() => app.stop())

  const INVALID = [401, { error: 'Invalid refresh token.' }]

  const refreshWith = (token: string) =>
    app.client().post('/users/refresh/', undefined, { headers: { cookie: `vf_refresh=${token}` } })
  const answer = async (reply: Response) => [reply.status, await reply.json()]
  const tokenOf = ({ client }: Person) => client.cookies.get('vf_refresh') ?? ''
  const newTokenOf = (reply: Response) =>
    /^vf_refresh=([^;]+)/.exec(reply.headers.getSetCookie()[1] ?? '')?.[1]
  const reuses = (person: Person) =>
    app.app.db
      .selectFrom('audit')
      .select('event')
      .where('user_id', '=', person.userId)
      .where('event', '=', 'refresh_reuse')
      .execute()

  test('gives a new access cookie and a rotated refresh cookie', async () => {
    const person = await aSignedInPerson(app)
    const before = new Map(person.client.cookies)
    app.clock.advance(1000)
    const reply = await person.client.post('/users/refresh/', {})
    expect(await answer(reply)).toEqual([200, { detail: 'Access token refreshed.' }])
    expect(reply.headers.getSetCookie()).toEqual([
      expect.stringMatching(/^vf_access=[\w.-]+; Max-Age=300; Path=\/; HttpOnly; SameSite=Lax$/),
      expect.stringMatching(/^vf_refresh=[\w.-]+; Max-Age=3599; Path=\/; HttpOnly; SameSite=Lax$/),
    ])
    for (const [name, value] of person.client.cookies) expect(value).not.toBe(before.get(name))
    expect((await person.client.get('/content/')).status).toBe(200)
  })

  test.each([
    ['no body', undefined],
    ['an empty body', ''],
    ['a list', '[1]'],
    ['what is no JSON', '{'],
  ])('ignores the body: %s', async (_what, body) => {
    const { client } = await aSignedInPerson(app)
    const reply = await client.request('/users/refresh/', {
      method: 'POST',
      ...(body !== undefined && { body, headers: { 'content-type': 'application/json' } }),
    })
    expect(reply.status).toBe(200)
  })

  test('needs the cookie, and a good one', async () => {
    const person = await aSignedInPerson(app)
    expect(await answer(await app.client().post('/users/refresh/'))).toEqual([
      401,
      { error: 'Missing refresh cookie.' },
    ])
    expect(await answer(await refreshWith(''))).toEqual([401, { error: 'Missing refresh cookie.' }])
    const good = tokenOf(person)
    const [session = '', counter = '', mac = ''] = good.split('.')
    const access = person.client.cookies.get('vf_access') ?? ''
    for (const bad of [
      'nonsense',
      access,
      `${session}.${Number(counter) + 1}.${mac}`,
      `${session}.${counter}.${mac.slice(0, -2)}AA`,
      `${session}.0${counter}.${mac}`,
      `${good}.`,
      'A'.repeat(10_000),
      '%00',
      '"',
    ]) {
      expect(await answer(await refreshWith(bad))).toEqual(INVALID)
    }
    expect((await refreshWith(good)).status).toBe(200)
  })

  test('twice at once succeeds twice, with one successor', async () => {
    const person = await aSignedInPerson(app)
    const token = tokenOf(person)
    const replies = await Promise.all([refreshWith(token), refreshWith(token)])
    expect(replies.map(({ status }) => status)).toEqual([200, 200])
    expect(newTokenOf(replies[0])).toBeDefined()
    expect(newTokenOf(replies[0])).toBe(newTokenOf(replies[1]))
    expect(newTokenOf(replies[0])).not.toBe(token)
  })

  test('fifty times at once yields one new token', async () => {
    const token = tokenOf(await aSignedInPerson(app))
    const replies = await Promise.all(Array.from({ length: 50 }, () => refreshWith(token)))
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]))
    expect(new Set(replies.map(newTokenOf)).size).toBe(1)
  })

  test('may be repeated within the grace, when the reply was lost', async () => {
    const person = await aSignedInPerson(app)
    const token = tokenOf(person)
    const successor = newTokenOf(await refreshWith(token))
    app.clock.advance(29_000)
    const again = await refreshWith(token)
    expect([again.status, newTokenOf(again)]).toEqual([200, successor])
    expect((await refreshWith(successor ?? '')).status).toBe(200)
    expect(await reuses(person)).toEqual([])
  })

  test('with a used token after the grace ends that session, and only that one', async () => {
    const person = await aSignedInPerson(app)
    const elsewhere = app.client()
    const { email, password } = person
    await elsewhere.post('/users/login/', { email, password })
    const stolen = tokenOf(person)
    expect((await person.client.post('/users/refresh/')).status).toBe(200)
    app.clock.advance(31_000)
    expect((await person.client.get('/content/')).status).toBe(200)
    expect(await answer(await refreshWith(stolen))).toEqual(INVALID)
    expect(await reuses(person)).toHaveLength(1)
    expect((await person.client.get('/content/')).status).toBe(401)
    expect(await answer(await person.client.post('/users/refresh/'))).toEqual(INVALID)
    expect((await elsewhere.get('/content/')).status).toBe(200)
    expect((await elsewhere.post('/users/refresh/')).status).toBe(200)
  })

  test('with the token before the last one ends the session at once', async () => {
    const person = await aSignedInPerson(app)
    const grandfather = tokenOf(person)
    await person.client.post('/users/refresh/')
    await person.client.post('/users/refresh/')
    expect(await answer(await refreshWith(grandfather))).toEqual(INVALID)
    expect(await reuses(person)).toHaveLength(1)
    expect(await answer(await person.client.post('/users/refresh/'))).toEqual(INVALID)
  })

  test.each([
    { remember: false, seconds: 3600 },
    { remember: true, seconds: 604_800 },
  ])('never moves the end of a session (remember: $remember)', async ({ remember, seconds }) => {
    const person = await aSignedInPerson(app, { remember })
    app.clock.advance((seconds - 100) * 1000)
    const reply = await person.client.post('/users/refresh/')
    const lives = reply.headers
      .getSetCookie()
      .map((line) => Number(/Max-Age=(\d+)/.exec(line)?.[1]))
    for (const life of lives) {
      expect(life).toBeGreaterThan(90)
      expect(life).toBeLessThanOrEqual(100)
    }
    app.clock.advance(101_000)
    expect(await answer(await person.client.post('/users/refresh/'))).toEqual(INVALID)
    expect((await person.client.get('/content/')).status).toBe(401)
  })

  test('is not held up by a stale access cookie', async () => {
    const person = await aSignedInPerson(app)
    app.clock.advance(301_000)
    expect((await person.client.get('/content/')).status).toBe(401)
    expect((await person.client.post('/users/refresh/')).status).toBe(200)
    expect((await person.client.get('/content/')).status).toBe(200)
    person.client.cookies.set('vf_access', 'nonsense')
    expect((await person.client.post('/users/refresh/')).status).toBe(200)
  })

  test('is over for who was shut out or deleted', async () => {
    const shut = await aSignedInPerson(app)
    const deleted = await aSignedInPerson(app)
    expect((await shut.client.post('/users/refresh/')).status).toBe(200)
    await app.app.db
      .updateTable('users')
      .set({ is_active: false })
      .where('id', '=', shut.userId)
      .execute()
    await app.app.db.deleteFrom('users').where('id', '=', deleted.userId).execute()
    expect(await answer(await shut.client.post('/users/refresh/'))).toEqual(INVALID)
    expect(await answer(await deleted.client.post('/users/refresh/'))).toEqual(INVALID)
  })

  test('refuses two different cookies of one name', async () => {
    const [one, other] = [await aSignedInPerson(app), await aSignedInPerson(app)]
    const cookie = `vf_refresh=${tokenOf(one)}; vf_refresh=${tokenOf(other)}`
    const reply = await app.client().post('/users/refresh/', undefined, { headers: { cookie } })
    expect(await answer(reply)).toEqual(INVALID)
    const same = `vf_refresh=${tokenOf(one)}; vf_refresh=${tokenOf(one)}`
    const fine = await app
      .client()
      .post('/users/refresh/', undefined, { headers: { cookie: same } })
    expect(fine.status).toBe(200)
  })
})
