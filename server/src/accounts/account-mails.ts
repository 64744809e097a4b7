import { convert } from 'html-to-text'
import type { Settings } from '../config/settings.ts'
import type { Database } from '../db/database.ts'
import type { User } from '../db/tables.ts'
import { AppError } from '../errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { Mail, Mailer } from '../ports/mailer/mailer.ts'
import { transact } from '../db/database.ts'
import { TaskFailure, type Payload, type TaskHandler } from '../tasks/task.ts'
import { render } from '../templates/templates.ts'
import type { AccountLinks } from './account-links.ts'
import { issueLink } from './links.ts'
import { findUser } from './users.ts'

type Template = Payload<'send_mail'>['template']

const SUBJECTS: Record<Template, string> = {
  confirm: 'Confirm Your Videoflix Account',
  reset: 'Reset Your Password',
  password_changed: 'Your Videoflix password was changed',
}

/** With back-off up to ten minutes these last for hours: a mail server may be away for a while. */
const ATTEMPTS = 60

/**
 * Sends a mail. Its link is made here, at the last moment, so that no task, database or queue ever holds a live one; a
 * second try makes a second link, and both work until one is used.
 */
export function sendMailHandler(needs: {
  db: Database
  clock: Clock
  mailer: Mailer
  links: AccountLinks
  lifetimes: Settings['links']
}): TaskHandler<'send_mail'> {
  const { db, clock, mailer, links, lifetimes } = needs

  async function linkFor(
    template: Template,
    user: User,
  ): Promise<{ url: string; lifetime: string }> {
    if (template === 'password_changed') return { url: '', lifetime: '' }
    const lifeMs = template === 'confirm' ? lifetimes.confirmTtlMs : lifetimes.resetTtlMs
    const now = clock.now()
    const token = await transact(db, (trx) =>
      issueLink(trx, {
        purpose: template,
        user,
        expiresAt: new Date(now.getTime() + lifeMs),
        now,
      }),
    )
    return { url: links[template](user.id, token), lifetime: inWords(lifeMs) }
  }

  return {
    attempts: ATTEMPTS,

    async run(task) {
      const { template, userId } = task.payload
      const user = await findUser(db, userId)
      if (user) await send(mailer, composeMail(template, user, await linkFor(template, user)))
      await task.commit(() => Promise.resolve())
    },

    giveUp: () => Promise.resolve(),
  }
}

export function composeMail(
  template: Template,
  user: { email: string },
  link: { url: string; lifetime: string },
): Mail {
  const html = render(`mails/${template}`, { email: user.email, ...link })
  const text = convert(html, {
    wordwrap: 78,
    selectors: [{ selector: 'a', options: { noAnchorUrl: false } }],
  })
  return { to: user.email, subject: SUBJECTS[template], html, text }
}

async function send(mailer: Mailer, mail: Mail): Promise<void> {
  try {
    await mailer.send(mail)
  } catch (cause) {
    const isRefused = cause instanceof AppError && cause.code === 'invalid'
    const code = isRefused ? 'address_refused' : 'mail_server_away'
    throw new TaskFailure(code, (cause as Error).message, { permanent: isRefused, cause })
  }
}

function inWords(ms: number): string {
  const minutes = Math.round(ms / 60_000)
  if (minutes < 1) return `${Math.round(ms / 1000)} seconds`
  if (minutes < 120) return `${minutes} minutes`
  return `${Math.round(minutes / 60)} hours`
}
