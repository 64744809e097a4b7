import { z } from 'zod'
import { PROCESSING_STATES } from './videos.ts'

/** What receivers of webhooks are told of. */
export const WEBHOOK_VIDEO_EVENTS = ['video.ready', 'video.error', 'video.deleted'] as const
export type WebhookVideoEvent = (typeof WEBHOOK_VIDEO_EVENTS)[number]

/** With the one that a superuser sends to try a receiver. */
export const WEBHOOK_EVENTS = [...WEBHOOK_VIDEO_EVENTS, 'webhook.test'] as const
export type WebhookEvent = (typeof WEBHOOK_EVENTS)[number]

/** A video as receivers are told of it: as it was when the event happened. */
export const webhookVideo = z
  .object({
    id: z.int(),
    title: z.string(),
    state: z.enum(PROCESSING_STATES).describe('Of the file that was uploaded last'),
    error: z
      .object({ code: z.string(), message: z.string() })
      .nullable()
      .describe('Why that file could not be processed'),
    duration_ms: z.int().nullable().describe('Of what plays; null when nothing does'),
    renditions: z.array(z.string()).describe('Qualities that play, worst first'),
  })
  .meta({ id: 'WebhookVideo' })
export type WebhookVideo = z.infer<typeof webhookVideo>

/** The body of a request to a receiver. */
export const webhookBody = z.object({
  type: z.enum(WEBHOOK_EVENTS),
  timestamp: z.iso.datetime().describe('When it happened'),
  data: z.object({ video: webhookVideo.optional().describe('Missing in `webhook.test`') }),
})
export type WebhookBody = z.infer<typeof webhookBody>

export const WEBHOOK_DELIVERY_STATES = ['pending', 'delivered', 'failed'] as const
export type WebhookDeliveryState = (typeof WEBHOOK_DELIVERY_STATES)[number]

/** An event on its way to one receiver (`/admin/api/webhooks/deliveries/`). */
export const webhookDelivery = z
  .object({
    id: z.string().describe('The `webhook-id` that the receiver gets'),
    event: z.string(),
    video_id: z.int().nullable().describe('Null for `webhook.test`'),
    url: z.string().describe('Of the receiver, without user and password'),
    state: z.enum(WEBHOOK_DELIVERY_STATES).describe('`failed`: given up'),
    created_at: z.iso.datetime(),
    attempts: z.int(),
    delivered_at: z.iso.datetime().nullable(),
    failed_at: z.iso.datetime().nullable(),
    last_status: z
      .int()
      .nullable()
      .describe('HTTP status of the last answer; null when there was none'),
    last_error: z.string().nullable().describe('Why the last attempt failed'),
  })
  .meta({ id: 'WebhookDelivery' })
export type WebhookDelivery = z.infer<typeof webhookDelivery>

export const webhookDeliveryDetail = webhookDelivery
  .extend({ body: z.string().describe('JSON, exactly as it is sent') })
  .meta({ id: 'WebhookDeliveryDetail' })
export type WebhookDeliveryDetail = z.infer<typeof webhookDeliveryDetail>
