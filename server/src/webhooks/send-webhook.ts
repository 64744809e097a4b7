import { STATUS_CODES } from 'node:http'
import type { WebhookReceiver, WebhookSettings } from '../config/webhook-settings.ts'
import type { Database } from '../db/database.ts'
import type { WebhookDeliveryRow } from '../db/tables.ts'
import type { Clock } from '../ports/clock.ts'
import { NotYet, TaskFailure, type RunningTask, type TaskHandler } from '../tasks/task.ts'
import { VERSION } from '../version.ts'
import {
  beginAttempt,
  endDelivered,
  endFailed,
  findDelivery,
  noteFailedAttempt,
} from './delivery-rows.ts'
import { post, type Outcome } from './post.ts'
import { signatureHeaders } from './signature.ts'

const [SECOND, MINUTE, HOUR] = [1000, 60_000, 3_600_000]

/** A receiver may be down for a night and a working day. About as Standard Webhooks 1.0 recommends. */
const RETRY_AFTER_MS = [
  5 * SECOND,
  5 * MINUTE,
  30 * MINUTE,
  2 * HOUR,
  5 * HOUR,
  8 * HOUR,
  10 * HOUR,
]
const LONGEST_RETRY_AFTER_MS = HOUR

/** So that those who wait for a dead receiver leave most of the lane to the others. */
const AT_ONCE_PER_RECEIVER = 8
const FULL_WAIT_MS = SECOND

/**
 * Sends an event to a receiver. It is sent again whenever nobody knows that it arrived, always under the same id, so
 * that the receiver can tell.
 */
export function sendWebhookHandler(needs: {
  db: Database
  clock: Clock
  settings: WebhookSettings
}): TaskHandler<'send_webhook'> {
  const { db, clock, settings } = needs
  const sending = new Map<string, number>()

  async function withPlace(url: string, work: () => Promise<void>): Promise<void> {
    const before = sending.get(url) ?? 0
    if (before >= AT_ONCE_PER_RECEIVER) throw new NotYet(FULL_WAIT_MS)
    sending.set(url, before + 1)
    try {
      await work()
    } finally {
      sending.set(url, (sending.get(url) ?? 1) - 1)
    }
  }

  async function send(
    task: RunningTask<'send_webhook'>,
    delivery: WebhookDeliveryRow,
    receiver: WebhookReceiver,
  ): Promise<void> {
    const { id, url, body } = delivery
    await task.write((trx) => beginAttempt(trx, id))
    const outcome = await post(
      { url, headers: headersOf(delivery, receiver, clock.now()), body },
      { timeoutMs: settings.timeoutMs, signal: task.signal },
    )
    const { status } = outcome
    if (status !== null && isTaken(status)) {
      return await task.commit((trx, now) => endDelivered(trx, id, { status, now }))
    }
    const failure = failureOf(outcome, clock.now())
    await task.write((trx) => noteFailedAttempt(trx, id, { status, error: failure.message }))
    throw failure
  }

  return {
    attempts: RETRY_AFTER_MS.length + 1,
    retryAfterMs: (failures) => RETRY_AFTER_MS[failures - 1] ?? LONGEST_RETRY_AFTER_MS,

    async run(task) {
      const delivery = await findDelivery(db, task.payload.deliveryId)
      if (!delivery) return await task.commit(() => Promise.resolve())
      const receiver = settings.receivers.find(({ url }) => url === delivery.url)
      // Another worker may have other settings, or this one will after a restart.
      if (!receiver) throw failed('receiver_unknown', 'This URL is not in WEBHOOK_URLS.')
      await withPlace(receiver.url, () => send(task, delivery, receiver))
    },

    async giveUp(trx, { deliveryId }, failure, now) {
      await endFailed(trx, deliveryId, { error: failure.message, now })
    },
  }
}

function headersOf(
  delivery: WebhookDeliveryRow,
  { authorization, secrets }: WebhookReceiver,
  now: Date,
): Record<string, string> {
  return {
    'content-type': 'application/json',
    'user-agent': `Videoflix/${VERSION}`,
    // Nothing is unpacked: a small answer could be huge.
    'accept-encoding': 'identity',
    ...(authorization !== null && { authorization }),
    ...signatureHeaders(delivery, secrets, now),
  }
}

function isTaken(status: number): boolean {
  return status >= 200 && status < 300
}

function failureOf(outcome: Outcome, now: Date): TaskFailure {
  if (outcome.status === null) return failed('receiver_away', `The receiver ${outcome.reason}.`)
  const { status, retryAfter } = outcome
  const answered = `The receiver answered ${`${status} ${STATUS_CODES[status] ?? ''}`.trim()}`
  if (status === 410) {
    return new TaskFailure('receiver_gone', `${answered}: it wants no more.`, { permanent: true })
  }
  if (status >= 300 && status < 400) {
    return failed(
      'receiver_moved',
      `${answered}. Redirects are not followed: put the URL that it leads to into WEBHOOK_URLS.`,
    )
  }
  return failed('receiver_refused', `${answered}.`, retryAfterMs(retryAfter, now))
}

function failed(code: string, sentence: string, leastWaitMs = 0): TaskFailure {
  return new TaskFailure(code, sentence, { permanent: false, leastWaitMs })
}

/** RFC 9110 §10.2.3: seconds, or a date. What is neither says nothing. */
export function retryAfterMs(header: string | null, now: Date): number {
  if (header === null) return 0
  const ms = /^\d+$/.test(header) ? Number(header) * SECOND : Date.parse(header) - now.getTime()
  return Math.min(LONGEST_RETRY_AFTER_MS, Math.max(0, ms || 0))
}
