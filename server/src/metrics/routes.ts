import type { Server } from '../http/server.ts'
import { METRICS_TYPE, type Metrics } from './metrics.ts'

export function metricsRoutes(server: Server, metrics: Metrics): void {
  server.get(
    '/metrics',
    {
      config: { access: 'monitor', acceptsAnyHost: true },
      schema: {
        tags: ['Health'],
        summary: 'Figures for Prometheus',
        description:
          'In its text format 0.0.4, for programs on the server’s machine and for whoever has METRICS_TOKEN as a Bearer token. To others it is not there.',
      },
    },
    async (_request, reply) => {
      const text = await metrics.render()
      return await reply.type(METRICS_TYPE).header('cache-control', 'no-store').send(text)
    },
  )
}

/** Counts every request when its reply has been sent. */
export function countRequests(server: Server, { requests }: Metrics): void {
  server.addHook('onResponse', (request, reply, done) => {
    requests.observe(request.method, request.routeOptions.url, reply.statusCode, reply.elapsedTime)
    done()
  })
}
