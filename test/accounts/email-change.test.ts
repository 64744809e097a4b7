import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import type { Smtp } from '../harness/smtp.ts'
import { linkOf, mailAbout, startAppWithMail } from './mailbox.ts'
import { aPerson, aResetLink, aSignedInPerson, logIn, type Person } from './person.ts'

const CONFIRM = 'Confirm Your New Email Address'
const SENT = { message: 'A confirmation link has been sent to the new address.' }
const INVALID = [400, { error: 'Invalid or expired token.' }]
const HOUR = 3_600_000

describe.each(BACKENDS)('changing one’s email address, on %s', (backend) => {
  let app: TestApp
  let smtp: Smtp
  beforeAll(async () => void ({ app, smtp } = await startAppWithMail(backend)))
  afterAll(async () => {
    await app.stop()
    await smtp.stop()
  })

  let addresses = 0
  const aNewAddress = () => `new${++addresses}@example.com`
  const answer = async (reply: Response) => [reply.status, await reply.json()]
  const ask = (client: Client, email: unknown, password: unknown) =>
    client.post('/users/me/email/', { email, password })
  const open = (link: string, headers: Record<string, string> = {}) =>
    app.client().get(link, { headers })
  const emailOf = async ({ userId }: Person) => {
    const user = await app.app.db
      .selectFrom('users')
      .select('email')
      .where('id', '=', userId)
      .executeTakeFirstOrThrow()
    return user.email
  }
  const changesOf = ({ userId }: Person) =>
    app.app.db
      .selectFrom('audit')
      .select('id')
      .where('event', '=', 'email_changed')
      .where('user_id', '=', userId)
      .execute()

  /** The link in the mail to the new address. */
  async function aLink(person: Person, email = aNewAddress()): Promise<string> {
    const reply = await ask(person.client, email, person.password)
    expect(await answer(reply)).toEqual([200, SENT])
    return linkOf(await mailAbout(smtp, email, CONFIRM)) ?? ''
  }

  test('takes a link in a mail to the new one, and tells the old one', async () => {
    const person = await aSignedInPerson(app)
    const { client, email: old, password } = person
    const email = aNewAddress()
    const link = await aLink(person, ` ${email.toUpperCase()} `.trim().toLowerCase())
    expect(link).toMatch(
      new RegExp(`^${app.origin}/users/confirm-email/\\?uid=[0-9a-z]+&token=[\\w-]{43}$`),
    )
    // Nothing has changed yet, and a look at the link changes nothing.
    expect((await app.client().request(link, { method: 'HEAD' })).status).toBe(200)
    expect(await emailOf(person)).toBe(old)
    expect((await logIn(app, { email, password })).status).toBe(400)

    for (const _ of [1, 2]) {
      const reply = await open(link.replace('&token', '&amp;token'))
      expect([reply.status, reply.headers.get('location')]).toEqual([302, `${app.origin}/`])
    }
    expect(await (await client.get('/users/me/')).json()).toMatchObject({ email, username: email })
    expect((await logIn(app, { email, password })).status).toBe(200)
    expect((await logIn(app, { email: old, password })).status).toBe(400)
    const notice = await mailAbout(smtp, old, 'Your Videoflix email address was changed')
    expect(notice.text).toContain(old)
    expect(notice.text).not.toContain(email)
    expect(linkOf(notice)).toBeUndefined()
    expect(await changesOf(person)).toHaveLength(1)
  })

  test('says what is wrong, field by field', async () => {
    const { client, email, password } = await aSignedInPerson(app)
    const required = ['This field is required.']
    expect(await answer(await client.post('/users/me/email/', {}))).toEqual([
      400,
      { email: required, password: required },
    ])
    expect(await answer(await ask(client, 'nobody', password))).toEqual([
      400,
      { email: ['Enter a valid email address.'] },
    ])
    expect(await answer(await ask(client, ` ${email.toUpperCase()}`, password))).toEqual([
      400,
      { email: ['This is your address already.'] },
    ])
    expect(await answer(await ask(client, aNewAddress(), 'wrong'))).toEqual([
      400,
      { password: ['The password is wrong.'] },
    ])
  })

  test('to an address that is taken tells its mailbox, and nobody else', async () => {
    const person = await aSignedInPerson(app)
    const other = await aPerson(app)
    const taken = await ask(person.client, other.email, person.password)
    const free = await ask(person.client, aNewAddress(), person.password)
    expect([taken.status, await taken.text()]).toEqual([free.status, await free.text()])
    const mail = await mailAbout(smtp, other.email, 'You have a Videoflix account already')
    expect(linkOf(mail)).toBeUndefined()
    expect(`${mail.html || ''}${mail.text}`).not.toContain(person.email)
  })

  test('fails when somebody else has taken the address meanwhile', async () => {
    const person = await aSignedInPerson(app)
    const email = aNewAddress()
    const link = await aLink(person, email)
    const { password } = person
    await app.client().post('/users/register/', { email, password, confirm_password: password })
    expect(await answer(await open(link))).toEqual([
      409,
      { error: 'This address has got an account of its own meanwhile.' },
    ])
    const page = await open(link, { accept: 'text/html' })
    expect([page.status, page.headers.get('content-type')]).toEqual([
      409,
      'text/html; charset=utf-8',
    ])
    expect(await page.text()).toContain('Another Videoflix account has this address by now')
    expect(await emailOf(person)).toBe(person.email)
    expect((await person.client.get('/users/me/')).status).toBe(200)
  })

  test('of two people to one address at once serves one', async () => {
    const email = aNewAddress()
    const people = [await aSignedInPerson(app), await aSignedInPerson(app)]
    const links: string[] = []
    for (const person of people) links.push(await aLink(person, email))
    const replies = await Promise.all(
      links.flatMap((link) => Array.from({ length: 5 }, () => open(link))),
    )
    const served = [replies.slice(0, 5), replies.slice(5)].map((own) => [
      ...new Set(own.map(({ status }) => status)),
    ])
    expect(new Set(served.flat())).toEqual(new Set([302, 409]))
    expect(served.every((own) => own.length === 1)).toBe(true)
    const emails = await Promise.all(people.map(emailOf))
    expect(emails.filter((each) => each === email)).toHaveLength(1)
  })

  test('is done once, however often the link is opened at once', async () => {
    const person = await aSignedInPerson(app)
    const link = await aLink(person)
    const replies = await Promise.all(Array.from({ length: 30 }, () => open(link)))
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([302]))
    expect(await changesOf(person)).toHaveLength(1)
  })

  test('says what is wrong with a link, to people on a page', async () => {
    const person = await aSignedInPerson(app)
    const other = await aPerson(app)
    const { searchParams } = new URL(await aLink(person))
    const [uid, token] = [searchParams.get('uid'), searchParams.get('token')]
    const at = (query: string) => open(`/users/confirm-email/?${query}`)
    expect(await answer(await at(''))).toEqual([400, { error: 'Missing uid or token.' }])
    expect(await answer(await at(`uid=!&token=${token}`))).toEqual([
      400,
      { error: 'Invalid user ID.' },
    ])
    expect(await answer(await at(`uid=zzzzzz&token=${token}`))).toEqual([
      400,
      { error: 'Invalid user ID.' },
    ])
    expect(await answer(await at(`uid=${uid}&token=nonsense`))).toEqual(INVALID)
    expect(await answer(await at(`uid=${other.link.uid}&token=${token}`))).toEqual([
      400,
      { error: 'Token does not match user.' },
    ])
    const page = await open(`/users/confirm-email/?uid=${uid}&token=nonsense`, {
      accept: 'text/html,*/*',
    })
    expect(page.status).toBe(400)
    expect(await page.text()).toContain('Your address was not changed')
    expect((await at(`uid=${uid}&token=${token}`)).status).toBe(302)
  })

  test('works with no other link, and its link for nothing else', async () => {
    const person = await aSignedInPerson(app)
    const { searchParams } = new URL(await aLink(person))
    const [uid, token] = [searchParams.get('uid'), searchParams.get('token')]
    const reset = await aResetLink(app, person)
    for (const other of [reset, person.link]) {
      const path = `/users/confirm-email/?uid=${other.uid}&token=${other.token}`
      expect(await answer(await open(path))).toEqual(INVALID)
    }
    expect(await answer(await open(`/users/confirm/?uid=${uid}&token=${token}`))).toEqual(INVALID)
    const body = { uid, token, new_password: 'four lamps in a row' }
    expect(await answer(await app.client().post('/users/reset-password/', body))).toEqual(INVALID)
    const bearer = { authorization: `Bearer ${token}` }
    expect((await app.client().get('/users/me/', { headers: bearer })).status).toBe(401)
    expect((await open(`/users/confirm-email/?uid=${uid}&token=${token}`)).status).toBe(302)
    // It was mailed to the old address, whoever reads that now.
    const late = { ...reset, new_password: 'four lamps in a row' }
    expect(await answer(await app.client().post('/users/reset-password/', late))).toEqual(INVALID)
  })

  test('ends with the next wish, a new password, or being shut out', async () => {
    const again = await aSignedInPerson(app)
    const earlier = await aLink(again)
    const later = await aLink(again)
    expect(await answer(await open(earlier))).toEqual(INVALID)
    expect((await open(later)).status).toBe(302)

    const changed = await aSignedInPerson(app)
    const link = await aLink(changed)
    await changed.client.post('/users/me/password/', {
      current_password: changed.password,
      new_password: 'four lamps in a row',
    })
    expect(await answer(await open(link))).toEqual(INVALID)

    const shut = await aSignedInPerson(app)
    const shutLink = await aLink(shut)
    const superuser = await app.superuser()
    await superuser.patch(`/admin/api/users/${shut.userId}/`, { is_active: false })
    expect(await answer(await open(shutLink))).toEqual(INVALID)
    for (const person of [changed, shut]) expect(await emailOf(person)).toBe(person.email)
  })

  test('is possible for 72 hours, and no token is kept', async () => {
    const [early, late] = [await aSignedInPerson(app), await aSignedInPerson(app)]
    const [earlyLink, lateLink] = [await aLink(early), await aLink(late)]
    const kept = JSON.stringify([
      await app.app.db.selectFrom('links').selectAll().execute(),
      await app.app.db.selectFrom('tasks').selectAll().execute(),
    ])
    for (const link of [earlyLink, lateLink]) {
      expect(kept).not.toContain(new URL(link).searchParams.get('token'))
    }
    app.clock.advance(72 * HOUR - 60_000)
    expect((await open(earlyLink)).status).toBe(302)
    app.clock.advance(61_000)
    expect(await answer(await open(lateLink))).toEqual(INVALID)
  })
})

test.each(BACKENDS)('a link that waits to be mailed ends with the password, on %s', async (on) => {
  const { app, smtp } = await startAppWithMail(on)
  const person = await aSignedInPerson(app)
  await smtp.waitForMail(person.email)
  await app.worker.drain()
  const { client, password } = person
  const email = 'mallory@example.com'
  expect((await client.post('/users/me/email/', { email, password })).status).toBe(200)
  const link = await aResetLink(app, person)
  const reset = { ...link, new_password: 'four lamps in a row' }
  expect((await client.post('/users/reset-password/', reset)).status).toBe(200)

  const worker = app.app.createWorker({
    pid: process.pid + 1,
    memoryBytes: 2 ** 31,
    isRunning: () => true,
  })
  worker.start()
  await worker.idle()
  const subjects = smtp.mails.map((mail) => mail.subject)
  expect(subjects).toContain('Your Videoflix password was changed')
  expect(subjects).not.toContain(CONFIRM)
  await worker.drain()
  await app.stop()
  await smtp.stop()
})
