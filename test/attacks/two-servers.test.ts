import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS } from '../harness/app.ts'
import { Client } from '../harness/client.ts'
import {
  ADMIN,
  aPersonAt,
  aResetLinkAt,
  elsewhere,
  signIn,
  startTwoServers,
  type TwoServers,
} from './servers.ts'

const GRACE_S = 2
/** What a check of a session is believed for, and a little for the way. */
const DEAD_WITHIN_MS = 2300

describe.each(BACKENDS)('two server processes on one database, %s', (backend) => {
  let both: TwoServers
  let one: string
  let other: string
  beforeAll(async () => {
    both = await startTwoServers(backend, { REFRESH_GRACE: String(GRACE_S) })
    ;[one, other] = both.servers.map(({ url }) => url) as [string, string]
  })
  afterAll(() => both.stop())

  const refreshAt = (url: string, token: string) =>
    new Client(url).post('/users/refresh/', undefined, {
      headers: { cookie: `vf_refresh=${token}` },
    })
  const newTokenOf = (reply: Response) =>
    /^vf_refresh=([^;]+)/.exec(reply.headers.getSetCookie()[1] ?? '')?.[1]
  const tokenOf = (client: Client) => client.cookies.get('vf_refresh') ?? ''
  const statusAt = async (client: Client) => (await client.get('/content/')).status
  const alternating = (at: number) => (at % 2 === 0 ? one : other)
  const reusesOf = async (email: string) => {
    const superuser = await signIn(one, ADMIN)
    const people = await superuser.get(`/admin/api/users/?search=${email}`)
    const { results } = (await people.json()) as { results: { id: number }[] }
    const id = results[0]?.id
    const log = await superuser.get(`/admin/api/audit/?event=refresh_reuse&user=${id}`)
    return ((await log.json()) as { count: number }).count
  }

  test('fifty refreshes at once with one token all succeed, with one successor', async () => {
    const person = await aPersonAt(one)
    let token = tokenOf(await signIn(one, person))
    for (let round = 0; round < 3; round += 1) {
      const replies = await Promise.all(
        Array.from({ length: 50 }, (_, at) => refreshAt(alternating(at), token)),
      )
      expect(replies.filter(({ status }) => status !== 200)).toEqual([])
      const successors = new Set(replies.map(newTokenOf))
      expect(successors.size).toBe(1)
      const [successor = ''] = successors as Set<string>
      expect(successor).not.toBe(token)
      token = successor
    }
    // Both know it.
    expect((await refreshAt(other, token)).status).toBe(200)
    expect(await reusesOf(person.email)).toBe(0)
  })

  test('a token that is used again after the grace ends its session everywhere, and no other', async () => {
    const person = await aPersonAt(one)
    const [victim, bystander] = [await signIn(one, person), await signIn(other, person)]
    const stolen = tokenOf(victim)
    expect((await victim.post('/users/refresh/')).status).toBe(200)
    expect((await refreshAt(other, stolen)).status).toBe(200)
    await sleep(GRACE_S * 1000 + 200)
    expect((await refreshAt(other, stolen)).status).toBe(401)
    expect((await victim.post('/users/refresh/')).status).toBe(401)
    expect(await statusAt(elsewhere(victim, other))).toBe(401)
    expect(await statusAt(bystander)).toBe(200)
    expect((await bystander.post('/users/refresh/')).status).toBe(200)
    expect(await reusesOf(person.email)).toBe(1)
  })

  test('the token before the last one ends the session at the other server, within the grace too', async () => {
    const person = await aPersonAt(one)
    const victim = await signIn(one, person)
    const grandparent = tokenOf(victim)
    await victim.post('/users/refresh/')
    await elsewhere(victim, other).post('/users/refresh/')
    const parent = tokenOf(victim)
    const newest = elsewhere(victim, other)
    await newest.post('/users/refresh/')
    expect((await refreshAt(one, grandparent)).status).toBe(401)
    for (const token of [grandparent, parent, tokenOf(newest)]) {
      expect((await refreshAt(other, token)).status).toBe(401)
    }
    expect(await reusesOf(person.email)).toBe(1)
  })

  test('parent and grandparent at once leave nothing alive that the thief could hold', async () => {
    const victim = await signIn(one, await aPersonAt(one))
    const tokens = [tokenOf(victim)]
    for (let round = 0; round < 2; round += 1) {
      await victim.post('/users/refresh/')
      tokens.push(tokenOf(victim))
    }
    const replies = await Promise.all(
      Array.from({ length: 30 }, (_, at) => refreshAt(alternating(at), tokens[at % 2] ?? '')),
    )
    expect(replies.every(({ status }) => status === 200 || status === 401)).toBe(true)
    for (const token of tokens) expect((await refreshAt(one, token)).status).toBe(401)
  })

  test.each<
    [
      string,
      (
        url: string,
        person: Awaited<ReturnType<typeof aPersonAt>>,
        client: Client,
      ) => Promise<Response>,
    ]
  >([
    ['signing out', (_url, _person, client) => client.post('/users/logout/')],
    [
      'being deactivated',
      async (url, person) => {
        const superuser = await signIn(url, ADMIN)
        return await superuser.patch(await pathOf(superuser, person.email), { is_active: false })
      },
    ],
    [
      'being deleted',
      async (url, person) => {
        const superuser = await signIn(url, ADMIN)
        return await superuser.delete(await pathOf(superuser, person.email))
      },
    ],
    [
      'deleting oneself',
      (_url, { password }, client) =>
        client.request('/users/me/', {
          method: 'DELETE',
          body: JSON.stringify({ password }),
          headers: { 'content-type': 'application/json' },
        }),
    ],
    [
      'a reset',
      async (url, { email }) =>
        await new Client(url).post('/users/reset-password/', {
          ...(await aResetLinkAt(url, email)),
          new_password: 'four lamps in a row',
        }),
    ],
    [
      'a change of password',
      (_url, { password }, client) =>
        client.post('/users/me/password/', {
          current_password: password,
          new_password: 'four lamps in a row',
        }),
    ],
    ['signing out everywhere', (_url, _person, client) => client.delete('/users/me/sessions/')],
  ])('%s at one ends an access token at the other within two seconds', async (_what, end) => {
    const person = await aPersonAt(one)
    const client = await signIn(one, person)
    const there = elsewhere(client, other)
    const session = elsewhere(client, other)
    // Its premise, and the check that the other server will go on believing for a while.
    expect(await statusAt(there)).toBe(200)
    const reply = await end(one, person, client)
    expect([reply.status, reply.status < 300]).toEqual([reply.status, true])
    const endedAt = Date.now()
    while ((await statusAt(there)) === 200) {
      expect(Date.now() - endedAt).toBeLessThan(DEAD_WITHIN_MS)
      await sleep(50)
    }
    expect(await statusAt(there)).toBe(401)
    expect((await session.post('/users/refresh/')).status).toBe(401)
  })

  test('none of it was an internal error', () => {
    for (const server of both.servers) expect(server.output()).not.toContain('internal error')
  })

  async function pathOf(superuser: Client, email: string): Promise<string> {
    const reply = await superuser.get(`/admin/api/users/?search=${email}`)
    const { results } = (await reply.json()) as { results: { id: number }[] }
    return `/admin/api/users/${results[0]?.id}/`
  }
})
