import { EventEmitter, on } from 'node:events'
import { fastifySSE } from '@fastify/sse'
import type { Server } from '../http/server.ts'
import type { VideoEvent, VideoEvents } from './events.ts'

/** Server-sent events (HTML Standard §9.2): `video` with the whole object at every change, `deleted` with its id. */
export async function videoEventsRoute(server: Server, events: VideoEvents): Promise<void> {
  await server.register(fastifySSE, { heartbeatInterval: 15_000 })
  server.get(
    '/admin/api/events/',
    {
      sse: 'only',
      config: { access: 'superuser' },
      schema: {
        tags: ['Administration'],
        summary: 'Changes and progress as they happen',
        description: 'A stream of server-sent events: `video` and `deleted`.',
      },
    },
    async (request, reply) => {
      const emitter = new EventEmitter()
      const unsubscribe = events.subscribe((event) => emitter.emit('event', event))
      const closed = new AbortController()
      request.raw.once('close', () => closed.abort())
      reply.sse.keepAlive()
      try {
        await reply.sse.send({ event: 'hello', data: { interval_seconds: 1 } })
        for await (const [event] of on(emitter, 'event', { signal: closed.signal })) {
          await reply.sse.send(event as VideoEvent)
        }
      } catch (error) {
        if (!closed.signal.aborted) throw error
      } finally {
        unsubscribe()
      }
    },
  )
}
