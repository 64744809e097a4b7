import type {
  WebhookBody,
  WebhookEvent,
  WebhookVideo,
  WebhookVideoEvent,
} from '@videoflix/contract'
import type { WebhookReceiver } from '../config/webhook-settings.ts'
import type { Transacting } from '../db/database.ts'
import type { WebhookDeliveryRow } from '../db/tables.ts'
import { newId } from '../ports/ids.ts'
import { enqueue } from '../tasks/queue.ts'
import { findVideoRecords, type VideoRecord } from '../videos/video-rows.ts'

/**
 * Tells every receiver what became of a video, in the transaction of the event: after its other statements, or before
 * the deletion. Ring the doorbell after the commit.
 */
export type RecordEvent = (
  trx: Transacting,
  event: WebhookVideoEvent,
  videoId: number,
  now: Date,
) => Promise<void>

export function eventRecorder(receivers: WebhookReceiver[]): RecordEvent {
  return async (trx, event, videoId, now) => {
    if (receivers.length === 0) return
    const [record] = await findVideoRecords(trx, [videoId])
    if (record) await announce(trx, receivers, event, toWebhookVideo(record), now)
  }
}

/** One delivery and its task for each receiver. */
export async function announce(
  trx: Transacting,
  receivers: WebhookReceiver[],
  event: WebhookEvent,
  video: WebhookVideo | null,
  now: Date,
): Promise<WebhookDeliveryRow[]> {
  const message: WebhookBody = {
    type: event,
    timestamp: now.toISOString(),
    data: video ? { video } : {},
  }
  const body = JSON.stringify(message)
  const rows: WebhookDeliveryRow[] = []
  for (const { url } of receivers) {
    const row = await trx
      .insertInto('webhook_deliveries')
      .values({
        id: `msg_${newId()}`,
        event,
        video_id: video?.id ?? null,
        url,
        body,
        created_at: now,
      })
      .returningAll()
      .executeTakeFirstOrThrow()
    await enqueueSending(trx, row.id, now)
    rows.push(row)
  }
  return rows
}

export async function enqueueSending(
  trx: Transacting,
  deliveryId: string,
  now: Date,
): Promise<void> {
  await enqueue(trx, 'send_webhook', { deliveryId }, { subject: `webhook:${deliveryId}`, now })
}

function toWebhookVideo({ video, published, newest, renditions }: VideoRecord): WebhookVideo {
  const isFailed = newest?.state === 'error'
  return {
    id: video.id,
    title: video.title,
    state: newest?.state ?? 'pending',
    error: isFailed
      ? { code: newest.error_code ?? 'internal', message: newest.error_message ?? '' }
      : null,
    duration_ms: published?.media_info?.durationMs ?? null,
    renditions: renditions.map(({ quality }) => quality),
  }
}
