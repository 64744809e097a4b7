import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS } from '../harness/app.ts'
import { Client } from '../harness/client.ts'
import {
  ADMIN,
  aPersonAt,
  aResetLinkAt,
  signIn,
  startTwoServers,
  type TwoServers,
} from './servers.ts'

describe.each(BACKENDS)('at two server processes at once, on %s', (backend) => {
  let both: TwoServers
  let one: string
  let other: string
  beforeAll(async () => {
    both = await startTwoServers(backend)
    ;[one, other] = both.servers.map(({ url }) => url) as [string, string]
  })
  afterAll(() => both.stop())

  const alternating = (at: number) => (at % 2 === 0 ? one : other)

  test('one reset link is used once, of thirty uses at both', async () => {
    const person = await aPersonAt(one)
    const link = await aResetLinkAt(other, person.email)
    const passwords = Array.from({ length: 30 }, (_, at) => `four lamps in row ${at}`)
    const replies = await Promise.all(
      passwords.map((password, at) =>
        new Client(alternating(at)).post('/users/reset-password/', { ...link, password }),
      ),
    )
    const winners = passwords.filter((_, at) => replies[at]?.status === 200)
    expect(replies.map(({ status }) => status).filter((status) => status !== 400)).toEqual([200])
    const opening = await Promise.all(
      passwords.map(
        async (password) =>
          (await new Client(one).post('/users/login/', { email: person.email, password })).status,
      ),
    )
    expect(passwords.filter((_, at) => opening[at] === 200)).toEqual(winners)
  })

  test('one confirmation link is opened thirty times at both, and confirms once', async () => {
    const person = await aPersonAt(one, { isConfirmed: false })
    const { uid, token } = person.link
    const replies = await Promise.all(
      Array.from({ length: 30 }, (_, at) =>
        new Client(alternating(at)).get(`/users/confirm/?uid=${uid}&token=${token}`),
      ),
    )
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([302]))
    const superuser = await signIn(one, ADMIN)
    const id = Number.parseInt(uid, 36)
    const log = await superuser.get(`/admin/api/audit/?event=confirmed&user=${id}`)
    expect(((await log.json()) as { count: number }).count).toBe(1)
  })

  test('fifty registrations of one address, however it is spelled, make one account', async () => {
    const password = 'two horses and a stapler'
    const replies = await Promise.all(
      Array.from({ length: 50 }, (_, at) =>
        new Client(alternating(at)).post('/users/register/', {
          email: SPELLINGS[at % SPELLINGS.length],
          password,
          confirm_password: password,
        }),
      ),
    )
    const answers = await Promise.all(
      replies.map(async (reply) => [reply.status, await reply.json()] as [number, object]),
    )
    const refused = answers.filter(([status]) => status !== 201)
    expect(answers).toHaveLength(refused.length + 1)
    for (const each of refused) {
      expect(each).toEqual([400, { email: ['User with this email already exists.'] }])
    }
    const superuser = await signIn(one, ADMIN)
    const found = await superuser.get('/admin/api/users/?search=kelvin.smith')
    const { results } = (await found.json()) as { results: { email: string }[] }
    expect(results.map(({ email }) => email)).toEqual(['kelvin.smith@example.com'])
  })

  test('none of it was an internal error', () => {
    for (const server of both.servers) expect(server.output()).not.toContain('internal error')
  })
})

/** One address: case, white space of many kinds, compatibility forms, the Kelvin sign and the long s. */
const SPELLINGS = [
  'kelvin.smith@example.com',
  'KELVIN.SMITH@EXAMPLE.COM',
  'Kelvin.Smith@Example.Com',
  '  kelvin.smith@example.com  ',
  '\tkelvin.smith@example.com\r\n',
  '\u00a0kelvin.smith@example.com\u00a0',
  '\u3000kelvin.smith@example.com\ufeff',
  '\u212aelvin.smith@example.com',
  'kelvin.\u017fmith@example.com',
  'ｋｅｌｖｉｎ．ｓｍｉｔｈ＠ｅｘａｍｐｌｅ．ｃｏｍ',
  'kelvin.smith\uff20example.com',
  '𝓴𝓮𝓵𝓿𝓲𝓷.smith@example.com',
  'ⓚelvin.smith@example.com',
]
