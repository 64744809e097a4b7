import {
  detailError,
  fieldErrors,
  MESSAGES,
  WEBHOOK_DELIVERY_STATES,
  WEBHOOK_EVENTS,
  webhookDelivery,
  webhookDeliveryDetail,
} from '@videoflix/contract'
import { z } from 'zod'
import { AppError } from '../errors.ts'
import { actorOf } from '../http/authentication.ts'
import { pageOf, pageQuery, rowsOf, toPage } from '../http/paging.ts'
import type { Server } from '../http/server.ts'
import type { Deliveries } from './deliveries.ts'

const withId = z.object({ id: z.string() })

const error = ({ input }: { input?: unknown }) => MESSAGES.choice(String(input))
const listQuery = pageQuery.extend({
  event: z.enum(WEBHOOK_EVENTS, { error }).optional(),
  state: z.enum(WEBHOOK_DELIVERY_STATES, { error }).optional(),
})

export function webhookRoutes(
  server: Server,
  needs: { deliveries: Deliveries; backendOrigin: string },
): void {
  const { deliveries, backendOrigin } = needs
  const config = { access: 'superuser' } as const
  const tags = ['Administration']

  server.get(
    '/admin/api/webhooks/deliveries/',
    {
      config,
      schema: {
        tags,
        summary: 'What receivers of webhooks were sent, newest first',
        querystring: listQuery,
        response: { 200: pageOf(webhookDelivery), 400: fieldErrors },
      },
    },
    async (request) => {
      const { event, state } = request.query
      const page = await deliveries.list({ event, state }, rowsOf(request.query))
      return toPage(request, backendOrigin, request.query, page)
    },
  )

  server.get(
    '/admin/api/webhooks/deliveries/:id/',
    {
      config,
      schema: {
        tags,
        summary: 'One delivery, with what is sent',
        params: withId,
        response: { 200: webhookDeliveryDetail, 404: detailError },
      },
    },
    async (request) => await deliveries.get(deliveryId(request.params.id)),
  )

  server.post(
    '/admin/api/webhooks/deliveries/:id/replay/',
    {
      config,
      schema: {
        tags,
        summary: 'Send the same once more, under the same id',
        params: withId,
        response: { 200: webhookDeliveryDetail, 404: detailError, 409: detailError },
      },
    },
    async (request) => await deliveries.replay(deliveryId(request.params.id), actorOf(request)),
  )

  server.post(
    '/admin/api/webhooks/test/',
    {
      config,
      schema: {
        tags,
        summary: 'Send a webhook.test to every receiver',
        response: { 200: z.object({ results: z.array(webhookDelivery) }), 409: detailError },
      },
    },
    async (request) => ({ results: await deliveries.test(actorOf(request)) }),
  )
}

/** What is no id is not found: no database has to make sense of it. */
function deliveryId(text: string): string {
  if (!/^msg_[\w-]{22}$/.test(text)) throw new AppError('not_found', 'Not found.')
  return text
}
