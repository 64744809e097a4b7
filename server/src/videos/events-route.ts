import { EventEmitter, on } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { fastifySSE } from '@fastify/sse'
import { viewerOf } from '../http/authentication.ts'
import type { Server } from '../http/server.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { VideoEvent, VideoEvents } from './events.ts'

const RECHECK_INTERVAL_MS = 1500

/** Server-sent events (HTML Standard §9.2): `video` with the whole object at every change, `deleted` with its id. */
export async function videoEventsRoute(
  server: Server,
  needs: { events: VideoEvents; sessions: Sessions },
): Promise<void> {
  const { events, sessions } = needs
  await server.register(fastifySSE, { heartbeatInterval: 15_000 })
  const streams = new Set<IncomingMessage>()
  // A stream has no end of its own, and the server waits for every reply to end before it closes.
  server.addHook('preClose', (done) => {
    for (const request of streams) request.destroy()
    done()
  })
  server.get(
    '/admin/api/events/',
    {
      sse: 'only',
      // A stream has no length and no end to tell of.
      exposeHeadRoute: false,
      config: { access: 'superuser' },
      schema: {
        tags: ['Administration'],
        summary: 'Changes and progress as they happen',
        description: 'A stream of server-sent events: `video` and `deleted`.',
      },
    },
    async (request, reply) => {
      const closed = new AbortController()
      request.raw.once('close', () => closed.abort())
      streams.add(request.raw)
      const viewer = viewerOf(request)
      // A stream outlives the check it began with: whoever may listen no longer is cut off.
      const recheck = setInterval(() => {
        sessions.isLive(viewer).then(
          (isLive) => isLive || request.raw.destroy(),
          () => request.raw.destroy(),
        )
      }, RECHECK_INTERVAL_MS)
      const emitter = new EventEmitter()
      const heard = on(emitter, 'event', { signal: closed.signal })
      const unsubscribe = await events.subscribe((event) => emitter.emit('event', event))
      reply.sse.keepAlive()
      try {
        await reply.sse.send({ event: 'hello', data: { interval_seconds: 1 } })
        for await (const [event] of heard) await reply.sse.send(event as VideoEvent)
      } catch (error) {
        if (!closed.signal.aborted) throw error
      } finally {
        clearInterval(recheck)
        unsubscribe()
        streams.delete(request.raw)
      }
    },
  )
}
