import { z } from 'zod'
import type { Server } from '../http/server.ts'
import type { CheckHealth } from './health.ts'

const state = z.enum(['ok', 'error'])
const health = z.object({
  status: state,
  components: z.object({ database: state, cache: state }),
})

export function healthRoutes(server: Server, checkHealth: CheckHealth): void {
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
}
