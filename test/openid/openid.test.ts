import { Secret, TOTP } from 'otpauth'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS, startApp, SUPERUSER, type Backend, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import { CLIENT_ID, prepareProvider, type TestProvider } from './provider.ts'

const FRONTEND_URL = 'https://films.example.com/login?from=openid'
const LOGIN = '/users/openid/login/'
const CALLBACK = '/users/openid/callback/'
const CODE = '/users/openid/code/'
const PASSWORD = 'a viewer’s own password'

/** The program, and a provider that it may know. */
class World implements AsyncDisposable {
  readonly videoflix: TestApp
  readonly provider: TestProvider

  static async start(
    backend: Backend,
    env: Record<string, string> = {},
    options: Parameters<typeof prepareProvider>[0] = {},
  ): Promise<World> {
    const provider = await prepareProvider(options)
    const videoflix = await startApp({ backend, env: { FRONTEND_URL, ...provider.env, ...env } })
    await provider.start(`${videoflix.origin}${CALLBACK}`)
    return new World(videoflix, provider)
  }

  private constructor(videoflix: TestApp, provider: TestProvider) {
    this.videoflix = videoflix
    this.provider = provider
  }

  /** Begins in a browser: where it is sent. */
  async begin(browser: Client, query = ''): Promise<string> {
    const reply = await browser.get(`${LOGIN}${query}`)
    if (reply.status !== 302) throw new Error(`${reply.status}: ${await reply.text()}`)
    return reply.headers.get('location') ?? ''
  }

  /** Out and back again: the reply of the callback. */
  async signIn(browser: Client = this.videoflix.client(), query = ''): Promise<Response> {
    const back = await this.provider.visit(await this.begin(browser, query))
    return await browser.get(back.href)
  }

  user(email: string) {
    return this.videoflix.app.db
      .selectFrom('users')
      .selectAll()
      .where('email', '=', email)
      .executeTakeFirst()
  }

  async countUsers(): Promise<number> {
    return (await this.videoflix.app.db.selectFrom('users').select('id').execute()).length
  }

  async events(): Promise<string[]> {
    const rows = await this.videoflix.app.db
      .selectFrom('audit')
      .select('event')
      .orderBy('id')
      .execute()
    return rows.map(({ event }) => event)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.videoflix.stop()
    await this.provider.stop()
  }
}

/** A page that says why, and neither a session nor a way elsewhere. */
async function expectPage(reply: Response, status: number, sentence: RegExp): Promise<void> {
  const html = await reply.text()
  expect(html).toMatch(sentence)
  expect(reply.status).toBe(status)
  expect(reply.headers.get('content-type')).toBe('text/html; charset=utf-8')
  expect(reply.headers.get('content-security-policy')).toContain("style-src 'self'; img-src 'self'")
  expect(reply.headers.get('location')).toBeNull()
  expect(html).not.toMatch(/<script|Acme <Login>/)
  const cookies = reply.headers.getSetCookie().filter((line) => !line.startsWith('vf_openid=;'))
  expect(cookies).toEqual([])
}

describe.each(BACKENDS)('sign-in with OpenID Connect on %s', (backend) => {
  let world: World
  beforeAll(async () => void (world = await World.start(backend)))
  afterAll(() => world[Symbol.asyncDispose]())

  let people = 0
  const aPerson = () => ({
    subject: `subject-${++people}`,
    email: `somebody${people}@example.com`,
    email_verified: true,
  })

  test('the way out: PKCE, state and nonce, and a cookie for the way back alone', async () => {
    const reply = await world.videoflix.client().get(LOGIN)
    expect(reply.status).toBe(302)
    expect(reply.headers.get('cache-control')).toBe('no-store')
    const url = new URL(reply.headers.get('location') ?? '')
    expect(url.origin).toBe(world.provider.issuer)
    expect(Object.fromEntries(url.searchParams)).toEqual({
      response_type: 'code',
      client_id: CLIENT_ID,
      redirect_uri: `${world.videoflix.origin}${CALLBACK}`,
      scope: 'openid email profile',
      state: expect.stringMatching(/^[\w-]{43}$/) as string,
      nonce: expect.stringMatching(/^[\w-]{43}$/) as string,
      code_challenge: expect.stringMatching(/^[\w-]{43}$/) as string,
      code_challenge_method: 'S256',
    })
    const [cookie = '', ...more] = reply.headers.getSetCookie()
    expect(more).toEqual([])
    expect(cookie).toMatch(
      /^vf_openid=[\w-]+; Max-Age=600; Path=\/users\/openid\/callback\/; HttpOnly; SameSite=Lax$/,
    )
    expect(cookie).not.toContain(url.searchParams.get('state'))
  })

  test('the first sign-in makes an account, the second finds it', async () => {
    const person = aPerson()
    world.provider.person = { ...person, email: ' Somebody1@Example.COM ' }
    const browser = world.videoflix.client()
    const reply = await world.signIn(browser)
    expect([reply.status, reply.headers.get('location')]).toEqual([302, FRONTEND_URL])
    expect(reply.headers.get('cache-control')).toBe('no-store')
    const kept = reply.headers.getSetCookie().map((line) => line.replace(/=[^;]*/, '='))
    expect(kept).toEqual([
      'vf_openid=; Max-Age=0; Path=/users/openid/callback/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax',
      'vf_access=; Max-Age=300; Path=/; HttpOnly; SameSite=Lax',
      'vf_refresh=; Max-Age=3600; Path=/; HttpOnly; SameSite=Lax',
    ])
    expect((await browser.get('/content/')).status).toBe(200)
    expect((await browser.post('/users/refresh/')).status).toBe(200)
    const user = await world.user('somebody1@example.com')
    expect(user).toMatchObject({ is_active: true, is_superuser: false })
    expect(user?.confirmed_at).not.toBeNull()
    expect(user?.last_login_at).not.toBeNull()
    expect(await world.events()).toEqual(
      expect.arrayContaining(['registered', 'openid_linked', 'login']),
    )

    // The address may change there: the subject does not.
    world.provider.person = { ...person, email: 'renamed@example.com' }
    const again = world.videoflix.client()
    expect((await world.signIn(again)).status).toBe(302)
    expect(await world.user('renamed@example.com')).toBeUndefined()
    const { db } = world.videoflix.app
    const sessions = await db
      .selectFrom('sessions')
      .select('id')
      .where('user_id', '=', user?.id ?? 0)
      .execute()
    expect(sessions, 'each its own session').toHaveLength(2)
  })

  test('`remember` lasts as at the password', async () => {
    world.provider.person = aPerson()
    const reply = await world.signIn(world.videoflix.client(), '?remember=true')
    expect(reply.headers.getSetCookie().join()).toContain('Max-Age=604800')
    const forgetful = await world.signIn(world.videoflix.client(), '?remember[]=true&remember=x')
    expect(forgetful.headers.getSetCookie().join()).not.toContain('Max-Age=604800')
  })

  test('a new account has no password that works, until a reset gives it one', async () => {
    const person = aPerson()
    world.provider.person = person
    expect((await world.signIn()).status).toBe(302)
    const { videoflix } = world
    const login = (password: string) =>
      videoflix.client().post('/users/login/', { email: person.email, password })
    for (const password of ['!', 'undefined', 'null', person.subject]) {
      const reply = await login(password)
      expect([reply.status, await reply.json()]).toEqual([
        400,
        { non_field_errors: ['Invalid credentials or inactive user.'] },
      ])
    }
    const asked = await videoflix.client().post('/users/forgot-password/', { email: person.email })
    const { debug } = (await asked.json()) as { debug: { uid: string; token: string } }
    const reset = await videoflix.client().post('/users/reset-password/', {
      uid: debug.uid,
      token: debug.token,
      new_password: PASSWORD,
    })
    expect(reset.status).toBe(200)
    expect((await login(PASSWORD)).status).toBe(200)
    expect((await world.signIn()).status, 'and the provider still works').toBe(302)
  })

  test('an account with the verified address is connected, superusers included', async () => {
    const person = aPerson()
    await world.videoflix.viewer(person.email)
    const before = await world.user(person.email)
    world.provider.person = person
    expect((await world.signIn()).status).toBe(302)
    expect(await world.user(person.email)).toEqual({
      ...before,
      last_login_at: expect.any(Date) as Date,
    })
    world.provider.person = { ...aPerson(), email: SUPERUSER.email }
    const admin = world.videoflix.client()
    expect((await world.signIn(admin)).status).toBe(302)
    expect((await admin.get('/admin/api/videos/')).status).toBe(200)
  })

  test('an address that is not verified opens and makes nothing', async () => {
    for (const email_verified of [false, undefined, 'yes', 'false']) {
      const person = { ...aPerson(), email_verified: email_verified as boolean }
      world.provider.person = person
      await expectPage(await world.signIn(), 403, /not confirmed at Acme/)
      expect(await world.user(person.email)).toBeUndefined()
    }
    world.provider.person = { ...aPerson(), email: SUPERUSER.email, email_verified: false }
    await expectPage(await world.signIn(), 403, /not confirmed at Acme/)
  })

  test.each([
    undefined,
    '',
    'no address',
    'a@b',
    'x\0@example.com',
    `${'x'.repeat(300)}@example.com`,
  ])('an account needs an address: %j', async (email) => {
    const { subject } = aPerson()
    const before = await world.countUsers()
    world.provider.person = { subject, email_verified: true, ...(email !== undefined && { email }) }
    await expectPage(await world.signIn(), 403, /does not tell us your email address/)
    expect(await world.countUsers()).toBe(before)
  })

  test('another login of the provider cannot take an account that is connected', async () => {
    const person = aPerson()
    world.provider.person = person
    expect((await world.signIn()).status).toBe(302)
    world.provider.person = { ...person, subject: 'the next owner of the address' }
    await expectPage(await world.signIn(), 403, /connected to another login/)
  })

  test('an inactive account stays out, known or not', async () => {
    const person = aPerson()
    world.provider.person = person
    expect((await world.signIn()).status).toBe(302)
    const { db } = world.videoflix.app
    await db
      .updateTable('users')
      .set({ is_active: false })
      .where('email', '=', person.email)
      .execute()
    await expectPage(await world.signIn(), 403, /not active/)

    const other = aPerson()
    await world.videoflix.viewer(other.email)
    await db
      .updateTable('users')
      .set({ is_active: false })
      .where('email', '=', other.email)
      .execute()
    world.provider.person = other
    await expectPage(await world.signIn(), 403, /not active/)
  })

  test('an account that was confirmed and closed before its first login stays closed', async () => {
    const person = aPerson()
    const client = world.videoflix.client()
    const registered = await client.post('/users/register/', {
      email: person.email,
      password: PASSWORD,
      confirm_password: PASSWORD,
    })
    const { debug } = (await registered.json()) as { debug: { confirmation_url: string } }
    expect((await client.get(debug.confirmation_url)).status).toBe(302)
    const { db } = world.videoflix.app
    await db
      .updateTable('users')
      .set({ is_active: false })
      .where('email', '=', person.email)
      .execute()
    world.provider.person = person
    await expectPage(await world.signIn(), 403, /not active/)
  })

  test('an account that a stranger prepared, unconfirmed, is its owner’s alone', async () => {
    const person = aPerson()
    const stranger = world.videoflix.client()
    const registered = await stranger.post('/users/register/', {
      email: person.email,
      password: PASSWORD,
      confirm_password: PASSWORD,
      phone: '555',
    })
    const { debug } = (await registered.json()) as { debug: { confirmation_url: string } }
    world.provider.person = person
    expect((await world.signIn()).status).toBe(302)
    expect(await world.user(person.email)).toMatchObject({ is_active: true, phone: null })
    const login = await stranger.post('/users/login/', { email: person.email, password: PASSWORD })
    expect(login.status).toBe(400)
    expect((await stranger.get(debug.confirmation_url)).status).toBe(400)
  })

  test('a state of another browser, of none, or twice is refused, and the right one then works', async () => {
    world.provider.person = aPerson()
    const [browser, attacker] = [world.videoflix.client(), world.videoflix.client()]
    const back = await world.provider.visit(await world.begin(browser))
    const theirs = await world.provider.visit(await world.begin(attacker))

    // Login CSRF: the attacker's finished sign-in, opened in the victim's browser.
    await expectPage(await browser.get(theirs.href), 400, /belongs to another sign-in/)
    await expectPage(
      await world.videoflix.client().get(theirs.href),
      400,
      /begun in another browser/,
    )
    for (const change of [
      (url: URL) => url.searchParams.delete('state'),
      (url: URL) => url.searchParams.set('state', ''),
      (url: URL) => url.searchParams.set('state', `${url.searchParams.get('state')}x`),
      (url: URL) => url.searchParams.append('state', url.searchParams.get('state') ?? ''),
    ]) {
      const changed = new URL(back)
      change(changed)
      await expectPage(await browser.get(changed.href), 400, /belongs to another sign-in/)
    }
    expect((await browser.get(back.href)).status).toBe(302)
  })

  test('a cookie that was changed, planted twice or is too old is refused', async () => {
    world.provider.person = aPerson()
    const browser = world.videoflix.client()
    const back = await world.provider.visit(await world.begin(browser))
    const cookie = browser.cookies.get('vf_openid') ?? ''
    const flipped = cookie.startsWith('A') ? 'B' : 'A'
    for (const header of [
      `vf_openid=${flipped}${cookie.slice(1)}`,
      'vf_openid=',
      'vf_openid=e30',
      `vf_openid=${cookie}; vf_openid=${flipped}${cookie.slice(1)}`,
    ]) {
      const reply = await world.videoflix.client().get(back.href, { headers: { cookie: header } })
      await expectPage(reply, 400, /begun in another browser/)
    }
    world.videoflix.clock.advance(10 * 60_000)
    await expectPage(await browser.get(back.href), 400, /longer than ten minutes/)
    world.videoflix.clock.advance(-10 * 60_000)
    expect((await browser.get(back.href)).status).toBe(302)
  })

  test('an answer works once, whoever kept the cookie', async () => {
    world.provider.person = aPerson()
    const browser = world.videoflix.client()
    const back = await world.provider.visit(await world.begin(browser))
    const cookie = `vf_openid=${browser.cookies.get('vf_openid')}`
    expect((await browser.get(back.href)).status).toBe(302)
    await expectPage(await browser.get(back.href), 400, /is over already/)
    const replay = await world.videoflix.client().get(back.href, { headers: { cookie } })
    await expectPage(replay, 400, /works only once/)
  })

  test('a code that was got for another question is refused: verifier and nonce', async () => {
    world.provider.person = aPerson()
    const [one, two] = [world.videoflix.client(), world.videoflix.client()]
    const first = await world.provider.visit(await world.begin(one))
    const second = await world.provider.visit(await world.begin(two))
    const injected = new URL(first)
    injected.searchParams.set('code', second.searchParams.get('code') ?? '')
    await expectPage(await one.get(injected.href), 400, /could not be confirmed/)
    expect(one.cookies.has('vf_access')).toBe(false)

    const asked = new URL(await world.begin(one))
    asked.searchParams.set('nonce', 'another')
    const back = await world.provider.visit(asked.href)
    await expectPage(await one.get(back.href), 400, /could not be confirmed/)
  })

  test('who is turned away there is told so, without what the provider wrote', async () => {
    world.provider.person = null
    await expectPage(await world.signIn(), 403, /did not let you in, or you stopped there/)
    expect(await world.events()).toContain('login_failed')
  })

  test('no query brings a 500 or leads elsewhere', async () => {
    world.provider.person = aPerson()
    const queries = [
      '',
      '?',
      '?code=x',
      '?code=x&state=y&code=z',
      '?error=access_denied',
      '?%00=%00&state=%00',
      '?state=%ff%fe&code=%',
      '?next=https://evil.example&redirect_uri=https://evil.example',
      `?code=${'x'.repeat(8000)}`,
      '?state=RIGHT',
      '?state=RIGHT&code=x',
      '?state=RIGHT&code=x&code=y',
      '?state=RIGHT&code=%00',
      '?state=RIGHT&error=%3Cscript%3E',
      '?state=RIGHT&iss=https://evil.example&code=x',
      '?state=RIGHT&response=x&id_token=y',
    ]
    for (const query of queries) {
      const browser = world.videoflix.client()
      const asked = await world.begin(browser, '?next=https://evil.example&state=mine')
      const state = new URL(asked).searchParams.get('state') ?? ''
      const reply = await browser.get(`${CALLBACK}${query.replace('RIGHT', state)}`)
      expect([400, 403, 503]).toContain(reply.status)
      expect(reply.headers.get('location')).toBeNull()
      expect(reply.headers.getSetCookie().join()).not.toContain('vf_access')
    }
  })

  test('HEAD begins and ends nothing', async () => {
    world.provider.person = aPerson()
    const browser = world.videoflix.client()
    const back = await world.provider.visit(await world.begin(browser))
    for (const path of [LOGIN, back.href]) {
      const reply = await browser.request(path, { method: 'HEAD' })
      expect([reply.status, reply.headers.getSetCookie()]).toEqual([200, []])
    }
    expect((await browser.get(back.href)).status).toBe(302)
  })

  test('ten first sign-ins of one person at once make one account', async () => {
    const person = aPerson()
    world.provider.person = person
    const browsers = Array.from({ length: 10 }, () => world.videoflix.client())
    const replies = await Promise.all(browsers.map((browser) => world.signIn(browser)))
    expect(replies.map(({ status }) => status)).toEqual(browsers.map(() => 302))
    const { db } = world.videoflix.app
    const kept = await db
      .selectFrom('identities')
      .select('user_id')
      .where('subject', '=', person.subject)
      .execute()
    expect(kept).toHaveLength(1)
  })

  /** Somebody who has turned one-time codes on, and the app that shows them. */
  async function aCarefulPerson() {
    const person = aPerson()
    const client = await world.videoflix.viewer(person.email)
    const offered = await client.post('/users/me/totp/', { password: PASSWORD })
    const { secret } = (await offered.json()) as { secret: string }
    const code = () =>
      new TOTP({ secret: Secret.fromBase32(secret) }).generate({
        timestamp: world.videoflix.clock.now().getTime(),
      })
    const confirmed = await client.request('/users/me/totp/', {
      method: 'PUT',
      body: JSON.stringify({ code: code() }),
      headers: { 'content-type': 'application/json' },
    })
    expect(confirmed.status).toBe(200)
    world.videoflix.clock.advance(30_000)
    return { person, code }
  }

  test('an account with one-time codes is asked for one, on a page of its own', async () => {
    const { person, code } = await aCarefulPerson()
    world.provider.person = person
    const browser = world.videoflix.client()
    const arrived = await world.signIn(browser, '?remember=true')
    expect([arrived.status, arrived.headers.get('location')]).toEqual([302, CODE])
    expect(browser.cookies.has('vf_access')).toBe(false)
    expect((await browser.get('/content/')).status).toBe(401)
    expect(arrived.headers.getSetCookie().join()).toMatch(
      /vf_openid_code=[\w-]+; Max-Age=300; Path=\/users\/openid\/code\/; HttpOnly; SameSite=Lax/,
    )
    const page = await browser.get(CODE)
    expect(page.headers.get('content-security-policy')).toContain("script-src 'self'")
    expect(await page.text()).toContain('autocomplete="one-time-code"')

    const wrong = await browser.post(CODE, { code: '000000' })
    expect([wrong.status, await wrong.json()]).toEqual([
      401,
      { detail: 'The one-time code is not valid.', code: 'otp_invalid' },
    ])
    const foreign = {
      headers: { 'content-type': 'application/json', origin: 'https://evil.example' },
    }
    expect((await browser.post(CODE, { code: code() }, foreign)).status).toBe(403)
    const paid = await browser.post(CODE, { code: code() })
    expect([paid.status, await paid.json()]).toEqual([200, { redirect_to: FRONTEND_URL }])
    expect(paid.headers.getSetCookie().join()).toContain('Max-Age=604800')
    expect((await browser.get('/content/')).status).toBe(200)
    expect(browser.cookies.has('vf_openid_code')).toBe(false)
  })

  test('the code alone opens nothing, nor does an arrival that is old, changed or another’s', async () => {
    const { person, code } = await aCarefulPerson()
    world.provider.person = person
    const browser = world.videoflix.client()
    await world.signIn(browser)
    const cookie = browser.cookies.get('vf_openid_code') ?? ''
    const pay = (value: string) =>
      world.videoflix.client().post(
        CODE,
        { code: code() },
        {
          headers: { 'content-type': 'application/json', cookie: `vf_openid_code=${value}` },
        },
      )
    const flow = world.videoflix.client()
    await world.begin(flow)
    const [access, begun] = [browser.cookies.get('vf_access'), flow.cookies.get('vf_openid')]
    expect(access).toBeUndefined()
    for (const value of ['', 'e30', `${cookie.slice(0, -2)}AA`, begun ?? '']) {
      const reply = await pay(value)
      expect([reply.status, await reply.json()]).toEqual([
        401,
        { detail: 'This sign-in took too long: begin again.' },
      ])
    }
    world.videoflix.clock.advance(5 * 60_000)
    expect((await pay(cookie)).status).toBe(401)
    world.videoflix.clock.advance(-5 * 60_000)
    const { db } = world.videoflix.app
    const setActive = (is_active: boolean) =>
      db.updateTable('users').set({ is_active }).where('email', '=', person.email).execute()
    await setActive(false)
    expect((await pay(cookie)).status).toBe(401)
    await setActive(true)
    expect((await pay(cookie)).status).toBe(200)
    expect((await pay(cookie)).status, 'its code is used up').toBe(401)
  })

  test('no code, token or secret is in the database or the log', async () => {
    world.provider.person = aPerson()
    const browser = world.videoflix.client()
    const back = await world.provider.visit(await world.begin(browser))
    const cookie = browser.cookies.get('vf_openid') ?? ''
    expect((await browser.get(back.href)).status).toBe(302)
    await browser.get(back.href, { headers: { cookie: `vf_openid=${cookie}` } })
    const { db } = world.videoflix.app
    const kept = JSON.stringify([
      world.videoflix.logs,
      await db.selectFrom('audit').selectAll().execute(),
      await db.selectFrom('identities').selectAll().execute(),
    ])
    expect(kept).toContain('openid sign-in')
    for (const secret of [
      back.searchParams.get('code') ?? '-',
      back.searchParams.get('state') ?? '-',
      cookie,
      world.provider.env['OIDC_CLIENT_SECRET'] ?? '-',
      'eyJ',
    ]) {
      expect(kept).not.toContain(secret)
    }
  })

  describe('when the provider is away', () => {
    afterEach(() => world.provider.start(`${world.videoflix.origin}${CALLBACK}`))

    test('between the way out and the way back: a page says so', async () => {
      world.provider.person = aPerson()
      const browser = world.videoflix.client()
      const back = await world.provider.visit(await world.begin(browser))
      await world.provider.stop()
      const reply = await browser.get(back.href)
      expect(reply.headers.get('retry-after')).toBe('60')
      await expectPage(reply, 503, /does not answer at the moment/)
    })
  })
})

describe('how it is set up', () => {
  test('a provider that is away at first is found when it is back', async () => {
    const provider = await prepareProvider()
    await using videoflix = await startApp({ env: { FRONTEND_URL, ...provider.env } })
    const reply = await videoflix.client().get(LOGIN)
    expect(reply.headers.get('retry-after')).toBe('60')
    await expectPage(reply, 503, /Acme .* does not answer at the moment/)
    expect((await videoflix.client().get('/health/')).status).toBe(200)
    await provider.start(`${videoflix.origin}${CALLBACK}`)
    await using _ = provider
    expect((await videoflix.client().get(LOGIN)).status).toBe(302)
  })

  test('without settings there is no such route', async () => {
    await using videoflix = await startApp()
    for (const path of [LOGIN, CALLBACK]) {
      expect((await videoflix.client().get(path)).status).toBe(404)
    }
  })

  test('OIDC_CREATE_USERS=False lets in only who has an account', async () => {
    await using world = await World.start('sqlite', { OIDC_CREATE_USERS: 'False' })
    const person = { subject: '1', email: 'member@example.com', email_verified: true }
    world.provider.person = person
    await expectPage(await world.signIn(), 403, /There is no account here/)
    expect(await world.user(person.email)).toBeUndefined()
    await world.videoflix.viewer(person.email)
    expect((await world.signIn()).status).toBe(302)
  })

  test('a wrong OIDC_CLIENT_SECRET is the operator’s to mend, and said so', async () => {
    await using world = await World.start('sqlite', { OIDC_CLIENT_SECRET: 'another' })
    world.provider.person = { subject: '1', email: 'somebody@example.com', email_verified: true }
    await expectPage(await world.signIn(), 503, /not set up correctly/)
    expect(JSON.stringify(world.videoflix.logs)).toContain('WWWAuthenticateChallengeError')
  })

  test('OIDC_TRUST_EMAIL=True takes an address that is not said to be verified', async () => {
    await using world = await World.start('sqlite', { OIDC_TRUST_EMAIL: 'True' })
    world.provider.person = { subject: '1', email: 'plain@example.com' }
    expect((await world.signIn()).status).toBe(302)
  })

  test('OIDC_TRUST_TWO_FACTOR=True leaves the second factor to the provider', async () => {
    await using world = await World.start('sqlite', { OIDC_TRUST_TWO_FACTOR: 'True' })
    await world.videoflix.viewer('careful@example.com')
    const user = await world.user('careful@example.com')
    const now = new Date()
    await world.videoflix.app.db
      .insertInto('totp')
      .values({ user_id: user?.id ?? 0, sealed_secret: 'x', confirmed_at: now, created_at: now })
      .execute()
    world.provider.person = { subject: '1', email: 'careful@example.com', email_verified: true }
    expect((await world.signIn()).status).toBe(302)
  })

  test.each(['client_secret_basic', 'client_secret_post'] as const)(
    'an address in the ID token, a client that shows its secret by %s',
    async (clientAuthentication) => {
      await using world = await World.start(
        'sqlite',
        { OIDC_SCOPES: 'email' },
        { clientAuthentication, isEmailInToken: true },
      )
      world.provider.person = { subject: '1', email: 'token@example.com', email_verified: true }
      expect((await world.signIn()).status).toBe(302)
    },
  )
})
