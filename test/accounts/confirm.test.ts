import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import { aPerson, aResetLink, logIn } from './person.ts'

const LOGIN_PAGE = 'https://films.example.com/login'
const HOUR = 3_600_000

describe.each(BACKENDS)('a confirmation link, on %s', (backend) => {
  let app: TestApp
  beforeAll(async () => {
    app = await startApp({ backend, env: { FRONTEND_URL: LOGIN_PAGE } })
  })
  afterAll(() => app.stop())

  const open = (query: string, headers: Record<string, string> = {}) =>
    app.client().get(`/users/confirm/?${query}`, { headers })
  const errorOf = async (reply: Response) => [
    reply.status,
    ((await reply.json()) as { error: string }).error,
  ]
  const queryOf = ({ uid, token }: { uid: string; token: string }) => `uid=${uid}&token=${token}`

  test('activates its user and leads to the login page, again and again', async () => {
    const person = await aPerson(app, { isConfirmed: false })
    expect((await logIn(app, person)).status).toBe(400)
    for (const _ of [1, 2, 3]) {
      const reply = await open(queryOf(person.link))
      expect([reply.status, reply.headers.get('location')]).toEqual([302, LOGIN_PAGE])
    }
    expect((await logIn(app, person)).status).toBe(200)
  })

  test('is opened thirty times at once, and each time leads to the login page', async () => {
    const { link, userId } = await aPerson(app, { isConfirmed: false })
    const replies = await Promise.all(Array.from({ length: 30 }, () => open(queryOf(link))))
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([302]))
    const confirmed = await app.app.db
      .selectFrom('audit')
      .select('id')
      .where('event', '=', 'confirmed')
      .where('user_id', '=', userId)
      .execute()
    expect(confirmed).toHaveLength(1)
  })

  test('may have been copied out of the source of a mail', async () => {
    const { link, email, password } = await aPerson(app, { isConfirmed: false })
    const reply = await open(`uid=${link.uid}&amp;token=${link.token}`)
    expect(reply.status).toBe(302)
    expect((await logIn(app, { email, password })).status).toBe(200)
  })

  test('says what is wrong with it', async () => {
    const { link } = await aPerson(app, { isConfirmed: false })
    const other = await aPerson(app, { isConfirmed: false })
    expect(await errorOf(await open(''))).toEqual([400, 'Missing uid or token.'])
    expect(await errorOf(await open(`uid=${link.uid}`))).toEqual([400, 'Missing uid or token.'])
    expect(await errorOf(await open(`token=${link.token}`))).toEqual([400, 'Missing uid or token.'])
    expect(await errorOf(await open(`uid=&token=${link.token}`))).toEqual([
      400,
      'Missing uid or token.',
    ])
    expect(await errorOf(await open(`uid=zzzzzzzzzz&token=${link.token}`))).toEqual([
      400,
      'Invalid user ID.',
    ])
    expect(await errorOf(await open(`uid=%00&token=${link.token}`))).toEqual([
      400,
      'Invalid user ID.',
    ])
    expect(await errorOf(await open(`uid=${link.uid}&token=nonsense`))).toEqual([
      400,
      'Invalid or expired token.',
    ])
    expect(await errorOf(await open(`uid=${other.link.uid}&token=${link.token}`))).toEqual([
      400,
      'Token does not match user.',
    ])
    // None of that used it up.
    expect((await open(queryOf(link))).status).toBe(302)
  })

  test('is no link to reset a password, nor the other way round', async () => {
    const person = await aPerson(app, { isConfirmed: false })
    const { uid, token } = person.link
    const reset = await app
      .client()
      .post('/users/reset-password/', { uid, token, new_password: 'four lamps in a row' })
    expect(await errorOf(reset)).toEqual([400, 'Invalid or expired token.'])
    await open(queryOf(person.link))
    const resetLink = await aResetLink(app, person)
    expect(await errorOf(await open(queryOf(resetLink)))).toEqual([
      400,
      'Invalid or expired token.',
    ])
  })

  test('holds for 72 hours', async () => {
    const early = await aPerson(app, { isConfirmed: false })
    const late = await aPerson(app, { isConfirmed: false })
    app.clock.advance(72 * HOUR - 60_000)
    expect((await open(queryOf(early.link))).status).toBe(302)
    app.clock.advance(61_000)
    expect(await errorOf(await open(queryOf(late.link)))).toEqual([
      400,
      'Invalid or expired token.',
    ])
    expect((await logIn(app, late)).status).toBe(400)
  })

  test('is not used up by a look: HEAD changes nothing', async () => {
    const person = await aPerson(app, { isConfirmed: false })
    const path = `/users/confirm/?${queryOf(person.link)}`
    expect((await app.client().request(path, { method: 'HEAD' })).status).toBe(200)
    expect((await logIn(app, person)).status).toBe(400)
    expect((await open(queryOf(person.link))).status).toBe(302)
    expect((await logIn(app, person)).status).toBe(200)
  })

  test('does not bring back somebody who was shut out later', async () => {
    const person = await aPerson(app, { isConfirmed: false })
    // The mail's link is a second one, and stays unopened.
    const mailed = await app.app.accounts.debugLink('confirm', await userOf(person.userId))
    await open(queryOf(person.link))
    await app.app.db
      .updateTable('users')
      .set({ is_active: false })
      .where('id', '=', person.userId)
      .execute()
    for (const token of [person.link.token, mailed]) {
      const reply = await open(queryOf({ uid: person.link.uid, token }))
      expect(await errorOf(reply)).toEqual([400, 'Invalid or expired token.'])
    }
    expect((await userOf(person.userId)).is_active).toBe(false)
  })

  test('that does not hold shows a page to a person', async () => {
    const reply = await open('uid=1&token=old', { accept: 'text/html,application/xhtml+xml' })
    expect(reply.status).toBe(400)
    expect(reply.headers.get('content-type')).toBe('text/html; charset=utf-8')
    const page = await reply.text()
    expect(page).toContain('This link does not work any more')
    expect(page).toContain(`href="${LOGIN_PAGE}"`)
  })

  async function userOf(id: number) {
    return await app.app.db
      .selectFrom('users')
      .selectAll()
      .where('id', '=', id)
      .executeTakeFirstOrThrow()
  }
})
