import type { ParsedMail } from 'mailparser'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Mail, Mailer } from './mailer.ts'

export interface MailerUnderTest {
  mailer: Mailer
  /** What has arrived so far, oldest first. */
  arrived(): Promise<ParsedMail[]>
  stop(): Promise<void>
}

const FROM = 'Films <films@example.com>'
const MAIL: Mail = {
  to: 'ada@example.com',
  subject: 'Welcome',
  html: '<p>Grüße, <a href="https://example.com/?a=1&amp;b=2">open</a></p>',
  text: 'Grüße: https://example.com/?a=1&b=2',
}

/** What every mailer that hands mails over must do. `start` is told the sender. */
export function testMailer(name: string, start: (from: string) => Promise<MailerUnderTest>): void {
  describe(`on ${name}`, () => {
    let started: MailerUnderTest
    let mailer: Mailer
    beforeAll(async () => {
      started = await start(FROM)
      mailer = started.mailer
    })
    afterAll(() => started.stop())

    async function sent(mail: Partial<Mail>): Promise<ParsedMail> {
      const before = (await started.arrived()).length
      await mailer.send({ ...MAIL, ...mail })
      const arrived = await started.arrived()
      expect(arrived).toHaveLength(before + 1)
      return arrived.at(-1)!
    }
    const recipients = (mail: ParsedMail) =>
      [mail.to, mail.cc, mail.bcc].flat().flatMap((list) => list?.value ?? [])

    test('both texts arrive whole, from the one sender', async () => {
      const mail = await sent({})
      expect(mail.from?.value).toEqual([{ name: 'Films', address: 'films@example.com' }])
      expect(recipients(mail).map(({ address }) => address)).toEqual(['ada@example.com'])
      expect(mail.subject).toBe('Welcome')
      expect(mail.text?.trim()).toBe(MAIL.text)
      expect(mail.html).toContain('Grüße')
      expect(mail.html).toContain('https://example.com/?a=1&amp;b=2')
    })

    test('a subject may be long and in any script', async () => {
      const subject = `Bestätige deine Adresse 🎬 ${'sehr '.repeat(40)}lang`
      expect((await sent({ subject })).subject).toBe(subject)
    })

    test.each(['\r\nBcc: eve@example.com', '\nBcc: eve@example.com', '\r\n\r\n<b>body</b>'])(
      'no header and no body comes in through the subject: %j',
      async (evil) => {
        const mail = await sent({ subject: `Hello${evil}` })
        expect(recipients(mail).map(({ address }) => address)).toEqual(['ada@example.com'])
        expect(mail.text?.trim()).toBe(MAIL.text)
      },
    )

    test.each([
      'ada@example.com, eve@example.com',
      'ada@example.com\r\nBcc: eve@example.com',
      'ada@example.com\nSubject: other',
      'Ada <ada@example.com>, Eve <eve@example.com>',
    ])('a recipient is one recipient or none: %j', async (to) => {
      const before = (await started.arrived()).length
      await mailer.send({ ...MAIL, to }).catch(() => {})
      for (const mail of (await started.arrived()).slice(before)) {
        const addresses = recipients(mail).map(({ address }) => address)
        expect(addresses.length).toBeLessThanOrEqual(1)
        expect(addresses).not.toContain('eve@example.com')
        expect(mail.subject).toBe('Welcome')
      }
    })

    test('says that it would work, and sends nothing for that', async () => {
      const before = (await started.arrived()).length
      await expect(mailer.check()).resolves.toBeUndefined()
      expect(await started.arrived()).toHaveLength(before)
    })
  })
}
