import { createTransport } from 'nodemailer'
import type { MailSettings } from '../../config/settings.ts'
import { AppError } from '../../errors.ts'
import type { Mailer } from './mailer.ts'

const TIMEOUT_MS = 15_000

/** `timeoutMs`: how long the server may take to let us in; twice that for each answer after. */
export function smtpMailer(
  settings: Extract<MailSettings, { kind: 'smtp' }>,
  timeoutMs = TIMEOUT_MS,
): Mailer {
  const transport = createTransport({
    host: settings.host,
    port: settings.port,
    secure: settings.useTls && settings.port === 465,
    requireTLS: settings.useTls && settings.port !== 465,
    ...(settings.user !== null && {
      auth: { user: settings.user, pass: settings.password ?? '' },
    }),
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: 2 * timeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  const where = `${settings.host}:${settings.port}`
  return {
    async send({ to, subject, html, text }) {
      try {
        // An address object is taken as one recipient, whatever commas are in it.
        await transport.sendMail({
          from: settings.from,
          to: { name: '', address: to },
          subject,
          html,
          text,
        })
      } catch (cause) {
        throw translate(cause, where)
      }
    },
    async check() {
      try {
        await transport.verify()
      } catch (cause) {
        throw translate(cause, where)
      }
    },
  }
}

function translate(cause: unknown, where: string): AppError {
  const { message, responseCode, code } = cause as {
    message: string
    responseCode?: number
    code?: string
  }
  if (code === 'EAUTH') {
    return new AppError(
      'misconfigured',
      `The mail server ${where} refuses EMAIL_HOST_USER and EMAIL_HOST_PASSWORD: correct them. (${message})`,
      { cause },
    )
  }
  if (responseCode !== undefined && responseCode >= 550 && responseCode <= 553) {
    return new AppError('invalid', `The mail server ${where} refuses the address: ${message}`, {
      cause,
    })
  }
  return new AppError(
    'unavailable',
    `The mail server ${where} did not take the mail: ${message}. Check EMAIL_HOST, EMAIL_PORT and EMAIL_USE_TLS.`,
    { cause },
  )
}
