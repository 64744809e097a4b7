import { convert } from 'html-to-text'
import type { Settings } from '../config/settings.ts'
import type { Database } from '../db/database.ts'
import type { LinkPurpose, User } from '../db/tables.ts'
import { AppError } from '../errors.ts'
import type { Mail, Mailer } from '../ports/mailer/mailer.ts'
import { TaskFailure, type Payload, type RunningTask, type TaskHandler } from '../tasks/task.ts'
import { render } from '../templates/templates.ts'
import type { AccountLinks } from './account-links.ts'
import { issueLink } from './links.ts'
import { emailExists, findUser, isShutOut } from './users.ts'

type Template = Payload<'send_mail'>['template']
/** What is written; whether an address is free shows only when its mail is sent. */
type Letter = Template | 'email_taken'

const SUBJECTS: Record<Letter, string> = {
  confirm: 'Confirm Your Videoflix Account',
  reset: 'Reset Your Password',
  password_changed: 'Your Videoflix password was changed',
  change_email: 'Confirm Your New Email Address',
  email_changed: 'Your Videoflix email address was changed',
  email_taken: 'You have a Videoflix account already',
}

/** With back-off up to ten minutes these last for hours: a mail server may be away for a while. */
const ATTEMPTS = 60

/**
 * Sends a mail. Its link is made here, at the last moment, so that no task, database or queue ever holds a live one; a
 * second try makes a second link, and both work until one is used.
 */
export function sendMailHandler(needs: {
  db: Database
  mailer: Mailer
  links: AccountLinks
  lifetimes: Settings['links']
}): TaskHandler<'send_mail'> {
  const { db, mailer, links, lifetimes } = needs

  function urlOf(purpose: LinkPurpose, userId: number, token: string): string {
    if (purpose === 'confirm') return links.confirm(userId, token)
    if (purpose === 'reset') return links.reset(userId, token)
    return links.changeEmail(userId, token)
  }

  /** No link is made for a mail that was cancelled. */
  async function linkFor(
    task: RunningTask<'send_mail'>,
    purpose: LinkPurpose,
    user: User,
  ): Promise<{ url: string; lifetime: string }> {
    const { email } = task.payload
    const lifeMs = purpose === 'reset' ? lifetimes.resetTtlMs : lifetimes.confirmTtlMs
    const token = await task.write((trx, now) => {
      const expiresAt = new Date(now.getTime() + lifeMs)
      return issueLink(trx, { purpose, user, expiresAt, now, ...(email && { email }) })
    })
    return { url: urlOf(purpose, user.id, token), lifetime: inWords(lifeMs) }
  }

  /** Null when the user is no longer to get it. */
  async function mailFor(task: RunningTask<'send_mail'>, user: User): Promise<Mail | null> {
    const { template, email: to = user.email } = task.payload
    if (template === 'password_changed' || template === 'email_changed') {
      return composeMail(template, to)
    }
    if (isShutOut(user)) return null
    if (template === 'change_email' && (await emailExists(db, to))) {
      return user.email === to ? null : composeMail('email_taken', to)
    }
    return composeMail(template, to, await linkFor(task, template, user))
  }

  return {
    attempts: ATTEMPTS,

    async run(task) {
      const user = await findUser(db, task.payload.userId)
      const mail = user && (await mailFor(task, user))
      if (mail) await send(mailer, mail)
      await task.commit(() => Promise.resolve())
    },

    giveUp: () => Promise.resolve(),
  }
}

function composeMail(
  letter: Letter,
  to: string,
  link: { url: string; lifetime: string } = { url: '', lifetime: '' },
): Mail {
  const html = render(`mails/${letter}`, { email: to, ...link })
  const text = convert(html, {
    wordwrap: 78,
    selectors: [{ selector: 'a', options: { noAnchorUrl: false } }],
  })
  return { to, subject: SUBJECTS[letter], html, text }
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
