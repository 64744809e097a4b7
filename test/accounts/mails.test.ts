import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import type { ParsedMail } from 'mailparser'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import { startSmtp, type Smtp } from '../harness/smtp.ts'

const RESET_PAGE = 'https://app.example.com/reset-password?from=mail'
const PASSWORD = 'two horses and a stapler'

describe.each(BACKENDS)('mails, on %s', (backend) => {
  let smtp: Smtp
  let app: TestApp
  beforeAll(async () => {
    smtp = await startSmtp()
    app = await startApp({
      backend,
      env: {
        EMAIL_BACKEND: 'django.core.mail.backends.smtp.EmailBackend',
        EMAIL_HOST: '127.0.0.1',
        EMAIL_PORT: String(smtp.port),
        DEFAULT_FROM_EMAIL: 'Videoflix <films@example.com>',
        RESET_PASSWORD_URL: RESET_PAGE,
      },
    })
  })
  afterAll(async () => {
    await app.stop()
    await smtp.stop()
  })

  /** As somebody would who wants the links to lead to themselves. */
  const misleading = {
    'x-forwarded-host': 'evil.example',
    'x-forwarded-proto': 'gopher',
    forwarded: 'host=evil.example',
    origin: 'http://localhost:4200',
    referer: 'http://evil.example/',
  }
  const post = (path: string, body: unknown) =>
    app.client().post(path, body, { headers: misleading })
  const signUp = (email: string) =>
    post('/users/register/', { email, password: PASSWORD, confirm_password: PASSWORD })

  test('ask a new user to confirm, with a link that works', async () => {
    await signUp('ada@example.com')
    const mail = await smtp.waitForMail('ada@example.com')
    expect(mail.subject).toBe('Confirm Your Videoflix Account')
    expect(recipients(mail)).toEqual(['ada@example.com'])
    expect(mail.from?.text).toBe('"Videoflix" <films@example.com>')
    const link = buttonOf(mail)
    expect(link).toMatch(
      new RegExp(`^${app.origin}/users/confirm/\\?uid=[0-9a-z]+&token=[\\w-]{43}$`),
    )
    expect(mail.text).toContain(link)
    expect(mail.text).not.toMatch(/<[a-z]|&amp;|evil\.example/)
    expect(mail.attachments).toEqual([])
    expect((await app.client().get(link)).status).toBe(302)
    const login = await post('/users/login/', { email: 'ada@example.com', password: PASSWORD })
    expect(login.status).toBe(200)
  })

  test('bring the link to choose a new password, and say when it was changed', async () => {
    const email = 'grace@example.com'
    await app.viewer(email)
    await smtp.waitForMail(email)
    await post('/users/forgot-password/', { email: ' GRACE@example.com ' })
    const mail = await smtp.waitForMail(email)
    expect(mail.subject).toBe('Reset Your Password')
    expect(recipients(mail)).toEqual([email])
    const link = new URL(buttonOf(mail))
    expect(link.href.startsWith(`${RESET_PAGE}&uid=`)).toBe(true)
    expect(mail.text).toContain(link.href)

    const { uid, token } = Object.fromEntries(link.searchParams)
    const reset = { uid, token, new_password: 'four lamps in a row' }
    expect((await post('/users/reset-password/', reset)).status).toBe(200)
    const notice = await smtp.waitForMail(email)
    expect(notice.subject).toBe('Your Videoflix password was changed')
    expect(recipients(notice)).toEqual([email])
    expect(notice.text).toContain(email)
    expect(notice.text).not.toContain('token')
  })

  test('let somebody who never confirmed choose a password, whoever chose the first', async () => {
    const email = 'lost@example.com'
    await signUp(email)
    await smtp.waitForMail(email)
    await post('/users/forgot-password/', { email })
    const mail = await smtp.waitForMail(email)
    expect(mail.subject).toBe('Reset Your Password')
    const { uid, token } = Object.fromEntries(new URL(buttonOf(mail)).searchParams)
    const reset = { uid, token, new_password: 'four lamps in a row' }
    expect((await post('/users/reset-password/', reset)).status).toBe(200)
    expect((await post('/users/login/', { email, password: PASSWORD })).status).toBe(400)
    const login = await post('/users/login/', { email, password: reset.new_password })
    expect(login.status).toBe(200)
  })

  test('go to nobody who has no account or was shut out', async () => {
    const email = 'shut@example.com'
    await app.viewer(email)
    await smtp.waitForMail(email)
    await app.app.db
      .updateTable('users')
      .set({ is_active: false, confirmed_at: new Date() })
      .where('email', '=', email)
      .execute()
    await app.worker.idle()
    const before = smtp.mails.length
    await post('/users/forgot-password/', { email })
    await post('/users/forgot-password/', { email: 'nobody@example.com' })
    await app.worker.idle()
    expect(smtp.mails).toHaveLength(before)
  })

  test('show an address with characters of HTML as it is', async () => {
    const email = "o'neil&sons@example.com"
    await signUp(email)
    const mail = await smtp.waitForMail(email)
    expect(recipients(mail)).toEqual([email])
    expect(mail.html).toContain('o&#39;neil&amp;sons@example.com')
    expect(mail.text).toContain(email)
  })

  test('are no secret in any log', async () => {
    await signUp('quiet@example.com')
    const link = new URL(buttonOf(await smtp.waitForMail('quiet@example.com')))
    const token = link.searchParams.get('token') ?? ''
    expect(token).not.toBe('')
    expect((await app.client().get(link.href)).status).toBe(302)
    const logged = JSON.stringify(app.logs)
    expect(logged).toContain('registered')
    expect(logged).not.toContain(token)
    expect(logged).not.toContain(PASSWORD)
  })
})

test.each(BACKENDS)('a mail that the server did not take is sent again, on %s', async (backend) => {
  await using smtp = await startSmtp()
  await using relay = await startGreylisting(smtp.port)
  await using app = await startApp({
    backend,
    env: { EMAIL_HOST: '127.0.0.1', EMAIL_PORT: String(relay.port) },
  })
  const email = 'patient@example.com'
  const reply = await app
    .client()
    .post('/users/register/', { email, password: PASSWORD, confirm_password: PASSWORD })
  expect(reply.status).toBe(201)
  await app.worker.idle()
  expect(relay.refused).toBe(1)
  expect(smtp.mails).toEqual([])

  relay.isOpen = true
  app.clock.advance(60_000)
  await app.worker.idle()
  const link = buttonOf(await smtp.waitForMail(email))
  expect((await app.client().get(link)).status).toBe(302)
  await app.worker.idle()
  expect(smtp.mails).toHaveLength(1)
})

/** A mail server that says "later" until it is open, and then hands through to another. */
async function startGreylisting(port: number) {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    if (relay.isOpen) {
      const inner = connect(port, '127.0.0.1')
      inner.on('error', () => socket.destroy())
      socket.pipe(inner).pipe(socket)
      return
    }
    relay.refused++
    socket.end('421 try again later\r\n')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const relay = {
    port: (server.address() as AddressInfo).port,
    isOpen: false,
    refused: 0,
    async [Symbol.asyncDispose]() {
      server.close()
      await once(server, 'close')
    },
  }
  return relay
}

function recipients(mail: ParsedMail): (string | undefined)[] {
  return [mail.to, mail.cc, mail.bcc]
    .flat()
    .flatMap((field) => field?.value.map(({ address }) => address) ?? [])
}

/** Where the button of a mail leads. */
function buttonOf(mail: ParsedMail): string {
  const [, link = ''] = /<a href="([^"]+)"/.exec(mail.html || '') ?? []
  return link.replaceAll('&amp;', '&')
}
