import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { freePort } from '../../../../test/harness/free-port.ts'
import { startSmtp } from '../../../../test/harness/smtp.ts'
import { testMailer } from './mailer.contract.ts'
import { smtpMailer } from './smtp-mailer.ts'
import type { Mail } from './mailer.ts'

const FROM = 'Films <films@example.com>'
const mailerAt = (port: number, timeoutMs?: number) =>
  smtpMailer(
    {
      kind: 'smtp',
      host: '127.0.0.1',
      port,
      useTls: false,
      user: null,
      password: null,
      from: FROM,
    },
    timeoutMs,
  )

testMailer('an SMTP server', async () => {
  const server = await startSmtp()
  return {
    mailer: mailerAt(server.port),
    arrived: () => Promise.resolve(server.mails),
    stop: () => server.stop(),
  }
})

const MAIL: Mail = { to: 'ada@example.com', subject: 'Hello', html: '<p>Hi</p>', text: 'Hi' }

describe('a server that does not take the mail', async () => {
  const server = await startSmtp()
  afterAll(() => server.stop())
  beforeEach(() => void (server.behaviour = 'accept'))

  test('refuses the address for good', async () => {
    server.behaviour = 'refuse'
    await expect(mailerAt(server.port).send(MAIL)).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining('mailbox unavailable'),
    })
  })

  test('never answers: given up in time, to be tried later', async () => {
    server.behaviour = 'hang'
    const startedAt = performance.now()
    await expect(mailerAt(server.port, 200).send(MAIL)).rejects.toMatchObject({
      code: 'unavailable',
    })
    expect(performance.now() - startedAt).toBeLessThan(3000)
    server.behaviour = 'accept'
    await mailerAt(server.port).send(MAIL)
  })

  test('is not there: says which settings to look at', async () => {
    const mailer = mailerAt(await freePort())
    await expect(mailer.send(MAIL)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/EMAIL_HOST, EMAIL_PORT/),
    })
    await expect(mailer.check()).rejects.toMatchObject({ code: 'unavailable' })
  })

  test('has no TLS although it is required: the mail does not go in the clear', async () => {
    const settings = { kind: 'smtp', host: '127.0.0.1', port: server.port } as const
    const mailer = smtpMailer({ ...settings, useTls: true, user: null, password: null, from: FROM })
    const before = server.mails.length
    await expect(mailer.send(MAIL)).rejects.toMatchObject({ code: 'unavailable' })
    expect(server.mails).toHaveLength(before)
  })
})
