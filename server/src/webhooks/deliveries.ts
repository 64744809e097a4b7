import type { WebhookDelivery, WebhookDeliveryDetail } from '@videoflix/contract'
import type { Audit } from '../audit/audit.ts'
import type { WebhookReceiver } from '../config/webhook-settings.ts'
import { transact, type Database } from '../db/database.ts'
import type { WebhookDeliveryRow } from '../db/tables.ts'
import { AppError } from '../errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { Doorbell } from '../ports/doorbell/doorbell.ts'
import {
  findDelivery,
  listDeliveries,
  lockDelivery,
  reopen,
  type DeliveryFilter,
} from './delivery-rows.ts'
import { announce, enqueueSending } from './outbox.ts'

interface Actor {
  userId: number
  address: string
}

/** What superusers see of webhooks, and do about them. */
export interface Deliveries {
  list(
    filter: DeliveryFilter,
    page: { offset: number; limit: number },
  ): Promise<{ results: WebhookDelivery[]; count: number }>
  /** Throws `not_found`. */
  get(id: string): Promise<WebhookDeliveryDetail>
  /** Sends the same again, under the same id. Throws `not_found`, or `conflict` while it waits to be sent anyway. */
  replay(id: string, by: Actor): Promise<WebhookDeliveryDetail>
  /** Sends a `webhook.test` to every receiver. Throws `conflict` when there is none. */
  test(by: Actor): Promise<WebhookDelivery[]>
}

export function createDeliveries(needs: {
  db: Database
  clock: Clock
  doorbell: Doorbell
  audit: Audit
  receivers: WebhookReceiver[]
}): Deliveries {
  const { db, clock, doorbell, audit, receivers } = needs

  return {
    async list(filter, page) {
      const { results, count } = await listDeliveries(db, filter, page)
      return { results: results.map((row) => toDelivery(row)), count }
    },

    async get(id) {
      const row = await findDelivery(db, id)
      if (!row) throw notFound()
      return toDetail(row)
    },

    async replay(id, by) {
      const now = clock.now()
      const reopened = await transact(db, async (trx) => {
        const row = await lockDelivery(trx, id)
        if (!row) throw notFound()
        refuseReplay(row, receivers)
        await enqueueSending(trx, id, now)
        await audit.recordIn(trx, 'webhook_replayed', { ...by, details: { delivery: id } })
        return await reopen(trx, id)
      })
      doorbell.ring('tasks')
      return toDetail(reopened)
    },

    async test(by) {
      if (receivers.length === 0) {
        throw new AppError('conflict', 'There is nobody to send it to: set WEBHOOK_URLS.')
      }
      const now = clock.now()
      const rows = await transact(db, async (trx) => {
        await audit.recordIn(trx, 'webhook_tested', by)
        return await announce(trx, receivers, 'webhook.test', null, now)
      })
      doorbell.ring('tasks')
      return rows.map((row) => toDelivery(row))
    },
  }
}

function notFound(): AppError {
  return new AppError('not_found', 'Not found.')
}

function refuseReplay(row: WebhookDeliveryRow, receivers: WebhookReceiver[]): void {
  if (stateOf(row) === 'pending') {
    throw new AppError('conflict', 'It is waiting to be sent already.')
  }
  if (!receivers.some(({ url }) => url === row.url)) {
    throw new AppError('conflict', 'Its URL is not in WEBHOOK_URLS any more.')
  }
}

function stateOf(row: WebhookDeliveryRow): WebhookDelivery['state'] {
  if (row.delivered_at) return 'delivered'
  return row.failed_at ? 'failed' : 'pending'
}

function toDelivery(row: WebhookDeliveryRow): WebhookDelivery {
  return {
    id: row.id,
    event: row.event,
    video_id: row.video_id,
    url: row.url,
    state: stateOf(row),
    created_at: row.created_at.toISOString(),
    attempts: row.attempts,
    delivered_at: row.delivered_at?.toISOString() ?? null,
    failed_at: row.failed_at?.toISOString() ?? null,
    last_status: row.last_status,
    last_error: row.last_error,
  }
}

function toDetail(row: WebhookDeliveryRow): WebhookDeliveryDetail {
  return { ...toDelivery(row), body: row.body }
}
