import { z } from 'zod'
import type { Server } from '../http/server.ts'
import type { CheckHealth } from './health.ts'
import type { Readiness } from './readiness.ts'

const state = z.enum(['ok', 'error'])
const health = z.object({
  status: state,
  components: z.object({ database: state, cache: state }),
})
const alive = z.object({ status: z.literal('ok') })
const ready = z.object({ status: z.literal('ready') })
const notReady = z.object({ status: z.literal('not ready'), reason: z.string() })

/** Balancers ask for an address, not for a name. */
const OF_PROBES = { access: 'public', acceptsAnyHost: true } as const

export function healthRoutes(
  server: Server,
  { checkHealth, readiness }: { checkHealth: CheckHealth; readiness: Readiness },
): void {
  server.get(
    '/health/',
    {
      config: { access: 'public' },
      schema: {
        tags: ['Health'],
        summary: 'Whether the server and what it needs work',
        response: { 200: health, 503: health },
      },
    },
    async (_request, reply) => {
      const result = await checkHealth()
      return await reply
        .code(result.status === 'ok' ? 200 : 503)
        .header('cache-control', 'no-store')
        .send(result)
    },
  )
  server.get(
    '/health/live',
    {
      config: OF_PROBES,
      schema: {
        tags: ['Health'],
        summary: 'Whether the process answers at all',
        response: { 200: alive },
      },
    },
    (_request, reply) => {
      reply.header('cache-control', 'no-store')
      return { status: 'ok' } as const
    },
  )
  server.get(
    '/health/ready',
    {
      config: OF_PROBES,
      schema: {
        tags: ['Health'],
        summary: 'Whether requests should be sent here',
        description:
          'The database answers and has the schema of this server, which has not been told to end.',
        response: { 200: ready, 503: notReady },
      },
    },
    async (_request, reply) => {
      const reason = await readiness.whyNot()
      reply.header('cache-control', 'no-store')
      if (reason === null) return await reply.send({ status: 'ready' })
      return await reply.code(503).send({ status: 'not ready', reason })
    },
  )
}
