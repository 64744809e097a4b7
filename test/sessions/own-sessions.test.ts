import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aSignedInPerson, type Person } from '../accounts/person.ts'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'

interface Session {
  id: string
  user_agent: string
  is_current: boolean
  [field: string]: unknown
}

describe.each(BACKENDS)('one’s own sessions, on %s', (backend) => {
  let app: TestApp
  beforeAll(async () => {
    app = await startApp({ backend })
  })
  afterAll(() => app.stop())

  const PATH = '/users/me/sessions/'
  const listOf = async (client: Client) => (await (await client.get(PATH)).json()) as Session[]
  const elsewhere = async ({ email, password }: Person, userAgent = 'Elsewhere') => {
    const client = app.client()
    client.headers = { 'user-agent': userAgent }
    await client.post('/users/login/', { email, password })
    expect((await client.get('/users/me/')).status).toBe(200)
    return client
  }
  const isOut = async (client: Client) => {
    const statuses = [
      (await client.get('/users/me/')).status,
      (await client.post('/users/refresh/')).status,
    ]
    expect(new Set(statuses).size).toBe(1)
    return statuses[0] === 401
  }

  test('are listed, latest use first, and nothing in them opens one', async () => {
    const person = await aSignedInPerson(app)
    app.clock.advance(1000)
    const strange = '"}]<script>\\u0000 ' + 'x'.repeat(400)
    const other = await elsewhere(person, strange)
    const sessions = await listOf(person.client)
    expect(sessions).toEqual([
      {
        id: expect.stringMatching(/^[\w-]{22}$/) as string,
        created_at: expect.stringMatching(/^\d{4}-.*Z$/) as string,
        last_used_at: expect.stringMatching(/^\d{4}-.*Z$/) as string,
        expires_at: expect.stringMatching(/^\d{4}-.*Z$/) as string,
        address: '127.0.0.1',
        user_agent: strange.slice(0, 256),
        is_current: false,
      },
      expect.objectContaining({ is_current: true }) as object,
    ])
    expect((await listOf(other)).map((session) => session.is_current)).toEqual([true, false])
    app.clock.advance(1000)
    await person.client.post('/users/refresh/')
    const [latest, earlier] = await listOf(other)
    expect([latest?.is_current, latest?.id]).toEqual([false, sessions[1]?.id])
    expect(String(latest?.['last_used_at']) > String(earlier?.['last_used_at'])).toBe(true)
    for (const { id } of sessions) {
      const headers = { cookie: `vf_access=${id}; vf_refresh=${id}` }
      expect((await app.client().get(PATH, { headers })).status).toBe(401)
    }
  })

  test('that are over are not listed', async () => {
    const person = await aSignedInPerson(app, { remember: true })
    await elsewhere(person)
    const gone = await elsewhere(person)
    await gone.post('/users/logout/')
    expect(await listOf(person.client)).toHaveLength(2)
    app.clock.advance(3_601_000)
    await person.client.post('/users/refresh/')
    expect(await listOf(person.client)).toHaveLength(1)
  })

  test('are ended one by one, at once', async () => {
    const person = await aSignedInPerson(app)
    const one = await elsewhere(person, 'One')
    const two = await elsewhere(person, 'Two')
    const found = (await listOf(person.client)).find(({ user_agent: name }) => name === 'One')
    const reply = await person.client.delete(`${PATH}${found?.id}/`)
    expect([reply.status, await reply.text()]).toEqual([204, ''])
    expect(reply.headers.getSetCookie()).toEqual([])
    expect(await isOut(one)).toBe(true)
    expect(await isOut(two)).toBe(false)
    expect((await person.client.delete(`${PATH}${found?.id}/`)).status).toBe(404)

    const current = (await listOf(two)).find((session) => session.is_current)
    expect((await two.delete(`${PATH}${current?.id}/`)).status).toBe(204)
    expect(two.cookies.size).toBe(0)
    expect(await isOut(person.client)).toBe(false)
  })

  test('are nobody else’s to end', async () => {
    const person = await aSignedInPerson(app)
    const mallory = await aSignedInPerson(app)
    const [session] = await listOf(person.client)
    for (const id of [session?.id, 'nonsense', '%00', 'a'.repeat(22), '..', `${session?.id}%00`]) {
      const reply = await mallory.client.delete(`${PATH}${id}/`)
      if (id === '..') continue
      expect([id, reply.status, await reply.json()]).toEqual([id, 404, { detail: 'Not found.' }])
    }
    expect(await isOut(person.client)).toBe(false)
  })

  test('are ended everywhere', async () => {
    const person = await aSignedInPerson(app)
    const bystander = await aSignedInPerson(app)
    const others = [await elsewhere(person), await elsewhere(person)]
    const tokens = new Map(person.client.cookies)
    expect((await person.client.delete(PATH)).status).toBe(204)
    expect(person.client.cookies.size).toBe(0)
    for (const [name, value] of tokens) person.client.cookies.set(name, value)
    for (const client of [person.client, ...others]) expect(await isOut(client)).toBe(true)
    expect(await isOut(bystander.client)).toBe(false)
    const entries = await app.app.db
      .selectFrom('audit')
      .select('details')
      .where('event', '=', 'sessions_ended')
      .where('user_id', '=', person.userId)
      .execute()
    expect(entries).toEqual([{ details: { sessions: 3, kept_current: false } }])
  })

  test('are ended everywhere else', async () => {
    const person = await aSignedInPerson(app)
    const other = await elsewhere(person)
    const wrong = await person.client.delete(`${PATH}?keep_current=yes`)
    expect([wrong.status, await wrong.json()]).toEqual([
      400,
      { keep_current: ['Must be a valid boolean.'] },
    ])
    expect((await person.client.delete(`${PATH}?keep_current=true`)).status).toBe(204)
    expect(await isOut(other)).toBe(true)
    expect(await isOut(person.client)).toBe(false)
    expect(await listOf(person.client)).toHaveLength(1)
  })
})
