import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { simpleParser, type ParsedMail } from 'mailparser'
import { SMTPServer } from 'smtp-server'

/** `refuse` answers every recipient with 550; `hang` greets and then never answers a mail. */
export type SmtpBehaviour = 'accept' | 'refuse' | 'hang'

export interface Smtp extends AsyncDisposable {
  port: number
  /** May be changed at any time, from the next recipient on. */
  behaviour: SmtpBehaviour
  /** Every mail accepted so far, in order. */
  mails: ParsedMail[]
  /** The next mail to this address, which it gives only once; waits for it when there is none. */
  waitForMail(to: string, timeoutMs?: number): Promise<ParsedMail>
  stop(): Promise<void>
}

interface Waiter {
  to: string
  take: (mail: ParsedMail) => void
}

/** Starts a real SMTP server that keeps the mails it gets. Any user and password are welcome. */
export async function startSmtp(behaviour: SmtpBehaviour = 'accept'): Promise<Smtp> {
  const untaken: { to: string; mail: ParsedMail }[] = []
  const waiters: Waiter[] = []

  const server = new SMTPServer({
    authOptional: true,
    allowInsecureAuth: true,
    disabledCommands: ['STARTTLS'],
    closeTimeout: 100,
    onAuth: (auth, _session, callback) => callback(null, { user: auth.username }),
    onRcptTo(_address, _session, callback) {
      if (smtp.behaviour === 'hang') return
      callback(smtp.behaviour === 'refuse' ? refusal() : null)
    },
    onData(stream, session, callback) {
      simpleParser(stream)
        .then((mail) => {
          smtp.mails.push(mail)
          for (const { address } of session.envelope.rcptTo) deliver(address, mail)
          callback()
        })
        .catch((error: unknown) => callback(error as Error))
    },
  })
  // A client that goes away in the middle is the client's business.
  server.on('error', () => {})
  server.listen(0, '127.0.0.1')
  await once(server.server, 'listening')

  const stop = () => new Promise<void>((resolve) => server.close(resolve))
  const smtp: Smtp = {
    port: (server.server.address() as AddressInfo).port,
    behaviour,
    mails: [],
    waitForMail,
    stop,
    [Symbol.asyncDispose]: stop,
  }
  return smtp

  function deliver(address: string, mail: ParsedMail) {
    const to = address.toLowerCase()
    const waiting = waiters.findIndex((waiter) => waiter.to === to)
    if (waiting === -1) untaken.push({ to, mail })
    else waiters.splice(waiting, 1)[0]?.take(mail)
  }

  async function waitForMail(address: string, timeoutMs = 10_000): Promise<ParsedMail> {
    const to = address.toLowerCase()
    const there = untaken.findIndex((one) => one.to === to)
    if (there !== -1) return untaken.splice(there, 1)[0]!.mail
    return new Promise((resolve, reject) => {
      const waiter = { to, take: (mail: ParsedMail) => (clearTimeout(timer), resolve(mail)) }
      waiters.push(waiter)
      const timer = setTimeout(() => {
        waiters.splice(waiters.indexOf(waiter), 1)
        reject(new Error(`No mail to ${address} came within ${timeoutMs} ms`))
      }, timeoutMs)
    })
  }
}

function refusal(): Error {
  return Object.assign(new Error('mailbox unavailable'), { responseCode: 550 })
}
