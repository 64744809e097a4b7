import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { MayMonitor } from '../http/monitor-access.ts'
import type { Readiness } from '../health/readiness.ts'
import { METRICS_TYPE, type Metrics } from './metrics.ts'

interface Needs {
  metrics: Metrics
  readiness: Readiness
  mayMonitor: MayMonitor
}

interface Answer {
  status: number
  type: string
  body: string
}

/** What a worker says of itself: the paths of a server that concern those who run it, and nothing else. */
export function workerServer(needs: Needs): Server {
  const server = createServer(
    { requestTimeout: 10_000, headersTimeout: 5000 },
    (request, reply) => {
      answer(needs, request).then(
        (result) => send(reply, result),
        () => send(reply, json(500, { detail: 'Something went wrong on our side.' })),
      )
    },
  )
  // Some scrapers and probes; nobody else has business here.
  server.maxConnections = 50
  return server
}

async function answer(needs: Needs, request: IncomingMessage): Promise<Answer> {
  const path = request.url?.split('?')[0]
  const isRead = request.method === 'GET' || request.method === 'HEAD'
  if (isRead && path === '/health/live') return json(200, { status: 'ok' })
  if (isRead && path === '/health/ready') {
    const reason = await needs.readiness.whyNot()
    return reason === null
      ? json(200, { status: 'ready' })
      : json(503, { status: 'not ready', reason })
  }
  if (isRead && path === '/metrics' && needs.mayMonitor(request)) {
    return { status: 200, type: METRICS_TYPE, body: await needs.metrics.render() }
  }
  return json(404, { detail: 'Not found.' })
}

function json(status: number, body: object): Answer {
  return { status, type: 'application/json; charset=utf-8', body: JSON.stringify(body) }
}

function send(reply: ServerResponse, { status, type, body }: Answer): void {
  reply.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  })
  reply.end(body)
}
