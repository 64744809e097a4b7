import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aResetLink, aSignedInPerson, logIn } from '../accounts/person.ts'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'

const PATH = '/admin/api/audit/'

interface Entry {
  id: number
  at: string
  event: string
  user_id: number | null
  by_user_id: number | null
  address: string | null
  details: Record<string, unknown>
}
interface Page {
  count: number
  next: string | null
  previous: string | null
  results: Entry[]
}

describe.each(BACKENDS)('the audit log, on %s', (backend) => {
  let app: TestApp
  let admin: Client
  beforeAll(async () => {
    app = await startApp({ backend })
    admin = await app.superuser()
  })
  afterAll(() => app.stop())

  const list = async (query: string) => (await (await admin.get(`${PATH}?${query}`)).json()) as Page
  const eventsOf = ({ results }: Page) => results.map(({ event }) => event)

  test('tells who did what, newest first', async () => {
    const { userId, client } = await aSignedInPerson(app)
    await client.post('/users/logout/')
    const page = await list(`user=${userId}`)
    expect(eventsOf(page)).toEqual(['logout', 'login', 'confirmed', 'registered'])
    expect(page.results[1]).toEqual({
      id: expect.any(Number) as number,
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string,
      event: 'login',
      user_id: userId,
      by_user_id: null,
      address: '127.0.0.1',
      details: {},
    })
  })

  test('is read page by page, and by event, person and time', async () => {
    const { userId } = await aSignedInPerson(app)
    app.clock.advance(60_000)
    const since = app.clock.now().toISOString()
    const path = `/admin/api/users/${userId}/`
    for (const phone of ['1', '2', '3']) await admin.patch(path, { phone })
    app.clock.advance(60_000)
    const until = app.clock.now().toISOString()
    await admin.patch(path, { is_superuser: true })
    app.clock.advance(60_000)

    const edits = await list(`user=${userId}&event=user_edited&page_size=2`)
    expect([edits.count, edits.results.length, edits.previous]).toEqual([3, 2, null])
    const rest = (await (await admin.get(edits.next ?? '')).json()) as Page
    expect([rest.results.length, rest.next]).toEqual([1, null])
    const ids = [...edits.results, ...rest.results].map(({ id }) => id)
    expect(ids).toEqual([...ids].sort((one, other) => other - one))

    const between = await list(`user=${userId}&since=${since}&until=${until}`)
    expect(eventsOf(between)).toEqual(['user_edited', 'user_edited', 'user_edited'])
    expect(eventsOf(await list(`user=${userId}&since=${until}`))).toEqual(['user_promoted'])
    const local = encodeURIComponent(since.replace('Z', '+00:00'))
    expect((await list(`user=${userId}&since=${local}`)).count).toBe(4)
    // Whoever did it finds it, too.
    const by = between.results[0]?.by_user_id
    expect((await list(`user=${by}&since=${since}&until=${until}`)).count).toBe(3)
    expect((await list('user=999999')).results).toEqual([])
    await admin.patch(path, { is_superuser: false })
  })

  test.each([
    'event=nonsense',
    'event=%00',
    'user=x',
    'user=1e1',
    'user=',
    'since=yesterday',
    'since=2026-06-19',
    'until=%00',
    'page=0',
    'page_size=1000',
  ])('is not read by %s', async (query) => {
    const reply = await admin.get(`${PATH}?${query}`)
    const [field = ''] = query.split('=')
    expect([reply.status, await reply.json()]).toEqual([400, { [field]: [expect.any(String)] }])
  })

  test('is forged by nobody', async () => {
    const before = (await list('')).count
    const forged = {
      'user-agent': 'x","event":"user_promoted","user_id":1}\\n{"audit":"user_promoted',
      'x-forwarded-for': '192.0.2.1","event":"user_promoted',
    }
    const client = app.client()
    client.headers = forged
    for (const email of ['a@example.com', '","event":"user_promoted"}@example.com']) {
      await client.post('/users/login/', { email, password: '{"event":"user_promoted"}\n' })
    }
    const page = await list('')
    expect(page.count).toBe(before + 1)
    expect(page.results[0]).toMatchObject({
      event: 'login_failed',
      user_id: null,
      by_user_id: null,
      address: '127.0.0.1',
    })
    const lines = app.logs.filter((line) => line['audit'] !== undefined)
    expect(lines.length).toBeGreaterThan(0)
    expect(lines.at(-1)).toMatchObject({ audit: 'login_failed', userId: null })
    expect(JSON.stringify(lines)).not.toContain('x\\",')
  })

  test('has no secret in it', async () => {
    const person = await aSignedInPerson(app)
    const { client, email, password } = person
    const secrets = [password, person.link.token, ...client.cookies.values()]
    await logIn(app, { email, password: 'a wrong one, perhaps of another account' })
    const { token, uid } = await aResetLink(app, person)
    const chosen = 'five lamps in a row'
    await client.post('/users/me/email/', { email: 'elsewhere@example.com', password })
    await client.post('/users/me/password/', { current_password: password, new_password: chosen })
    secrets.push(token, chosen, 'a wrong one, perhaps', ...client.cookies.values())
    await app.client().post('/users/reset-password/', { uid, token, new_password: chosen })
    await client.delete('/users/me/', {
      body: JSON.stringify({ password: chosen }),
      headers: { 'content-type': 'application/json' },
    })
    const page = await list(`user=${person.userId}`)
    expect(eventsOf(page)).toEqual([
      'account_deleted',
      'password_changed',
      'email_change_requested',
      'login_failed',
      'login',
      'confirmed',
      'registered',
    ])
    const told = JSON.stringify([page, app.logs])
    for (const secret of secrets) expect(told).not.toContain(secret)
    expect(JSON.stringify(page)).not.toContain(email)
  })
})
