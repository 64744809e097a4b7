import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aSignedInPerson } from '../accounts/person.ts'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'

describe.each(BACKENDS)('signing out, on %s', (backend) => {
  let app: TestApp
  beforeAll(async () => {
    app = await startApp({ backend })
  })
  afterAll(() => app.stop())

  const logout = (headers: Record<string, string>) =>
    app.client().post('/users/logout/', undefined, { headers })

  test.each([
    ['both cookies', ['vf_access', 'vf_refresh']],
    ['the access cookie alone', ['vf_access']],
    ['the refresh cookie alone', ['vf_refresh']],
  ])('with %s ends the session', async (_what, names) => {
    const { client, userId } = await aSignedInPerson(app)
    const cookies = new Map(client.cookies)
    expect((await client.get('/content/')).status).toBe(200)
    const cookie = names.map((name) => `${name}=${cookies.get(name)}`).join('; ')
    const reply = await logout({ cookie })
    expect([reply.status, await reply.json()]).toEqual([
      200,
      { message: 'Successfully logged out.' },
    ])
    expect(reply.headers.getSetCookie()).toEqual(
      ['vf_access', 'vf_refresh'].map(
        (name) =>
          `${name}=; Max-Age=0; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax`,
      ),
    )
    expect((await client.get('/content/')).status).toBe(401)
    expect((await client.post('/users/refresh/')).status).toBe(401)
    const entries = await app.app.db
      .selectFrom('audit')
      .select('id')
      .where('event', '=', 'logout')
      .where('user_id', '=', userId)
      .execute()
    expect(entries).toHaveLength(1)
  })

  test('with the access token as Bearer ends the session', async () => {
    const { client } = await aSignedInPerson(app)
    const authorization = `Bearer ${client.cookies.get('vf_access')}`
    expect((await logout({ authorization })).status).toBe(200)
    expect((await client.post('/users/refresh/')).status).toBe(401)
  })

  test('works without a session', async () => {
    for (const headers of [
      {},
      { cookie: 'vf_access=; vf_refresh=' },
      { cookie: 'vf_access=nonsense; vf_refresh=nonsense' },
      { authorization: 'Basic YTpi' },
    ] as Record<string, string>[]) {
      const reply = await logout(headers)
      expect([reply.status, await reply.json()]).toEqual([
        200,
        { message: 'Successfully logged out.' },
      ])
      expect(reply.headers.getSetCookie()).toHaveLength(2)
    }
  })

  test('long after the access token died still ends the session', async () => {
    const { client } = await aSignedInPerson(app)
    const refreshToken = client.cookies.get('vf_refresh')
    app.clock.advance(301_000)
    expect((await client.post('/users/logout/')).status).toBe(200)
    const reply = await app
      .client()
      .post('/users/refresh/', undefined, { headers: { cookie: `vf_refresh=${refreshToken}` } })
    expect(reply.status).toBe(401)
  })

  test('ends one session, not those on other devices', async () => {
    const { client, email, password } = await aSignedInPerson(app)
    const elsewhere = app.client()
    await elsewhere.post('/users/login/', { email, password })
    await client.post('/users/logout/')
    expect((await elsewhere.get('/content/')).status).toBe(200)
  })
})
