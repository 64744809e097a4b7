import type { WebhookDeliveryState, WebhookEvent } from '@videoflix/contract'
import type { Database, Transacting } from '../db/database.ts'
import type { WebhookDeliveryRow } from '../db/tables.ts'

/** The statements on the table `webhook_deliveries`, but for those that write a new one (`outbox.ts`). */

export interface DeliveryFilter {
  event?: WebhookEvent | undefined
  state?: WebhookDeliveryState | undefined
}

export async function findDelivery(db: Database, id: string): Promise<WebhookDeliveryRow | null> {
  const row = await db
    .selectFrom('webhook_deliveries')
    .selectAll()
    .where('id', '=', id)
    .executeTakeFirst()
  return row ?? null
}

export async function lockDelivery(
  trx: Transacting,
  id: string,
): Promise<WebhookDeliveryRow | null> {
  const row = await trx
    .selectFrom('webhook_deliveries')
    .selectAll()
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst()
  return row ?? null
}

/** One page, newest first, and how many match in all. */
export async function listDeliveries(
  db: Database,
  { event, state }: DeliveryFilter,
  page: { offset: number; limit: number },
): Promise<{ results: WebhookDeliveryRow[]; count: number }> {
  let matching = db.selectFrom('webhook_deliveries')
  if (event) matching = matching.where('event', '=', event)
  if (state === 'delivered') matching = matching.where('delivered_at', 'is not', null)
  if (state === 'failed') matching = matching.where('failed_at', 'is not', null)
  if (state === 'pending') {
    matching = matching.where('delivered_at', 'is', null).where('failed_at', 'is', null)
  }
  const { count } = await matching
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  const results = await matching
    .selectAll()
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .offset(page.offset)
    .limit(page.limit)
    .execute()
  return { results, count }
}

/** Counts an attempt before it is made: one whose end nobody saw was one as well. */
export async function beginAttempt(trx: Transacting, id: string): Promise<void> {
  await trx
    .updateTable('webhook_deliveries')
    .set((eb) => ({ attempts: eb('attempts', '+', 1) }))
    .where('id', '=', id)
    .execute()
}

export async function noteFailedAttempt(
  trx: Transacting,
  id: string,
  attempt: { status: number | null; error: string },
): Promise<void> {
  await trx
    .updateTable('webhook_deliveries')
    .set({ last_status: attempt.status, last_error: attempt.error })
    .where('id', '=', id)
    .execute()
}

export async function endDelivered(
  trx: Transacting,
  id: string,
  end: { status: number; now: Date },
): Promise<void> {
  await trx
    .updateTable('webhook_deliveries')
    .set({ delivered_at: end.now, last_status: end.status, last_error: null })
    .where('id', '=', id)
    .execute()
}

export async function endFailed(
  trx: Transacting,
  id: string,
  end: { error: string; now: Date },
): Promise<void> {
  await trx
    .updateTable('webhook_deliveries')
    .set({ failed_at: end.now, last_error: end.error })
    .where('id', '=', id)
    .execute()
}

/** Makes it one that waits to be sent. */
export async function reopen(trx: Transacting, id: string): Promise<WebhookDeliveryRow> {
  return await trx
    .updateTable('webhook_deliveries')
    .set({ delivered_at: null, failed_at: null })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
}
