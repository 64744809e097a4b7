import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createTransport } from 'nodemailer'
import { AppError } from '../../errors.ts'
import { newId } from '../ids.ts'
import type { Mail, Mailer } from './mailer.ts'

/** Each mail as a file (RFC 5322) in a folder, named by time. */
export function fileMailer(folder: string, from: string): Mailer {
  const composer = createTransport({ streamTransport: true, buffer: true })
  return {
    async send({ to, subject, html, text }) {
      const { message } = await composer.sendMail({
        from,
        to: { name: '', address: to },
        subject,
        html,
        text,
      })
      try {
        await mkdir(folder, { recursive: true })
        const path = join(folder, `${Date.now()}-${newId()}.eml`)
        await writeFile(path, message as Buffer, { mode: 0o600 })
      } catch (cause) {
        const said = (cause as Error).message
        throw new AppError('unavailable', `The mail could not be written: ${said}.`, { cause })
      }
    },
    async check() {
      try {
        await mkdir(folder, { recursive: true })
      } catch (cause) {
        throw new AppError(
          'misconfigured',
          `The folder of mails, ${folder}, cannot be written: set EMAIL_FILE_PATH to another.`,
          { cause },
        )
      }
    },
  }
}

/** What was sent lately, for a developer to look at. Survives restarts. */
export interface Mailbox {
  list(): Promise<MailboxEntry[]>
}
export interface MailboxEntry extends Mail {
  sentAt: string
}

const KEPT = 100

/** A mailer that sends through `inner` and also keeps a copy in `folder`. For DEBUG only: mails hold live links. */
export function withMailbox(inner: Mailer, folder: string): Mailer & Mailbox {
  const names = async () =>
    (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.json')).sort()
  return {
    async send(mail) {
      await inner.send(mail)
      await mkdir(folder, { recursive: true })
      const path = join(folder, `${Date.now()}-${newId()}.json`)
      await writeFile(
        `${path}.part`,
        JSON.stringify({ ...mail, sentAt: new Date().toISOString() }),
        {
          mode: 0o600,
        },
      )
      await rename(`${path}.part`, path)
      const outdated = (await names()).slice(0, -KEPT)
      await Promise.all(outdated.map((name) => rm(join(folder, name), { force: true })))
    },
    check: () => inner.check(),
    async list() {
      const texts = await Promise.all(
        (await names()).map((name) => readFile(join(folder, name), 'utf8').catch(() => null)),
      )
      return texts
        .filter((text) => text !== null)
        .map((text) => JSON.parse(text) as MailboxEntry)
        .toReversed()
    },
  }
}
