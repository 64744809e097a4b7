import type { Logger } from 'pino'
import type { Mailer } from './mailer.ts'

/**
 * Writes mails to the log instead of sending them. Their text has live links in it, so it is shown only to developers:
 * elsewhere the log says that there was a mail, and to whom it did not go.
 */
export function logMailer(log: Logger, options: { showText: boolean }): Mailer {
  return {
    send({ to, subject, text }) {
      if (options.showText) log.info(`mail to ${to}: ${subject}\n${text}`)
      else log.warn({ to, subject }, 'mail not sent: set EMAIL_HOST')
      return Promise.resolve()
    },
    check: () => Promise.resolve(),
  }
}
