import type { ParsedMail } from 'mailparser'
import { startApp, type Backend, type TestApp } from '../harness/app.ts'
import { startSmtp, type Smtp } from '../harness/smtp.ts'

/** The app with a mail server of its own; stop the one, then the other. */
export async function startAppWithMail(backend: Backend): Promise<{ app: TestApp; smtp: Smtp }> {
  const smtp = await startSmtp()
  const app = await startApp({
    backend,
    env: { EMAIL_HOST: '127.0.0.1', EMAIL_PORT: String(smtp.port) },
  })
  return { app, smtp }
}

/** The link that the button of a mail leads to; none in a mail without a button. */
export function linkOf(mail: ParsedMail): string | undefined {
  const [, link] = /<a href="([^"]+)"/.exec(mail.html || '') ?? []
  return link?.replaceAll('&amp;', '&')
}

/** The next mail with this subject to somebody; those before it are thrown away. */
export async function mailAbout(smtp: Smtp, to: string, subject: string): Promise<ParsedMail> {
  for (;;) {
    const mail = await smtp.waitForMail(to)
    if (mail.subject === subject) return mail
  }
}
