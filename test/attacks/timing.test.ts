import { afterAll, beforeAll, expect, test } from 'vitest'
import { aPerson } from '../accounts/person.ts'
import { startApp, type TestApp } from '../harness/app.ts'
import { median, superiority } from './statistics.ts'

/** Each attempt is interleaved, so that whatever else the machine does falls on all of them alike. */
const LOGINS = 60
const RESETS = 200
/** Of what a password costs to check: a quick refusal would save nearly all of it. */
const NOTICEABLE_SHARE = 0.25
/** Half of all comparisons by chance; nine of ten when there is something to see. */
const TOLD_APART = 0.25

let app: TestApp
beforeAll(async () => {
  app = await startApp({ env: { DEBUG: 'True' } })
})
afterAll(() => app.stop())

type Kinds = Record<string, () => Promise<unknown>>

/** Times in milliseconds of each kind, asked for in turn. */
async function timesOf<K extends Kinds>(
  kinds: K,
  rounds: number,
): Promise<Record<keyof K, number[]>> {
  const names = Object.keys(kinds)
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]]))
  for (let round = -3; round < rounds; round += 1) {
    for (const name of rotated(names, round + 3)) {
      const startedAt = performance.now()
      await kinds[name]?.()
      // The first ones warm up.
      if (round >= 0) times[name]?.push(performance.now() - startedAt)
    }
  }
  return times as Record<keyof K, number[]>
}

function rotated<T>(items: T[], by: number): T[] {
  const at = by % items.length
  return [...items.slice(at), ...items.slice(0, at)]
}

/** How far two kinds can be told apart, 0 to 0.5, and by how many milliseconds. */
function difference(one: number[], other: number[]): { told: number; ms: number } {
  return {
    told: Math.abs(superiority(one, other) - 0.5),
    ms: Math.abs(median(one) - median(other)),
  }
}

test('how long a refused login takes tells nothing about the account', async () => {
  const active = await aPerson(app)
  const inactive = await aPerson(app, { isConfirmed: false })
  const unusable = await aPerson(app)
  await app.app.db
    .updateTable('users')
    .set({ password_hash: '!kept from Django' })
    .where('id', '=', unusable.userId)
    .execute()
  const login = async (email: string, password: string) => {
    const reply = await app.client().post('/users/login/', { email, password })
    expect(reply.status).toBe(400)
    await reply.text()
  }
  let strangers = 0
  const times = await timesOf(
    {
      wrong: () => login(active.email, 'not the password'),
      unknown: () => login(`stranger${(strangers += 1)}@example.com`, 'not the password'),
      unknownAgain: () => login('stranger@example.com', 'not the password'),
      inactive: () => login(inactive.email, inactive.password),
      inactiveAndWrong: () => login(inactive.email, 'not the password'),
      unusable: () => login(unusable.email, 'not the password'),
      // A deliberately leaky one: it refuses before any password is looked at.
      leaky: () => login(active.email, ''),
    },
    LOGINS,
  )
  const { wrong, leaky, ...others } = times
  // The premise: this machine, now, can tell a quick refusal from a slow one.
  const seen = difference(leaky, wrong)
  expect(seen.told).toBeGreaterThan(0.4)
  const checkMs = seen.ms
  for (const [name, each] of Object.entries(others)) {
    const { told, ms } = difference(each, wrong)
    expect({ name, ms, isNoticed: told > TOLD_APART && ms > checkMs * NOTICEABLE_SHARE }).toEqual({
      name,
      ms,
      isNoticed: false,
    })
  }
})

test('how long asking for a reset takes tells nothing about the account', async () => {
  // Through a proxy, as strangers come: nobody gets the link in the reply.
  const headers = { 'x-forwarded-for': '192.0.2.1' }
  const known = await Promise.all(Array.from({ length: 5 }, () => aPerson(app)))
  const shut = await aPerson(app)
  await app.app.db
    .updateTable('users')
    .set({ is_active: false })
    .where('id', '=', shut.userId)
    .execute()
  // What the worker does afterwards is not what is measured.
  await app.worker.drain()
  const bodies = new Set<string>()
  const forgot = async (email: string) => {
    const reply = await app.client().post('/users/forgot-password/', { email }, { headers })
    bodies.add(`${reply.status} ${await reply.text()}`)
  }
  let count = 0
  const times = await timesOf(
    {
      known: () => forgot(known[(count += 1) % known.length]?.email ?? ''),
      unknown: () => forgot(`stranger${(count += 1)}@example.com`),
      shut: () => forgot(shut.email),
      // Leaky on purpose: three looks and three mails for one, so that a busy machine can tell.
      leaky: async () => {
        for (let look = 1; look <= 3; look += 1) await forgot(known[0]?.email ?? '')
      },
    },
    RESETS,
  )
  expect([...bodies]).toEqual([
    '200 {"message":"If this email exists, a reset link has been sent."}',
  ])
  const seen = difference(times.leaky, times.known)
  expect(seen.told).toBeGreaterThan(0.3)
  for (const name of ['unknown', 'shut'] as const) {
    const { told, ms } = difference(times[name], times.known)
    expect({ name, ms, isNoticed: told > TOLD_APART && ms > seen.ms * 0.15 }).toEqual({
      name,
      ms,
      isNoticed: false,
    })
  }
})
