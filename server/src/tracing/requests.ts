import {
  context,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Span,
  type Tracer,
} from '@opentelemetry/api'
import type { FastifyRequest } from 'fastify'
import type { Server } from '../http/server.ts'

/** Asked every few seconds by machines. */
const UNTRACED = new Set(['/metrics', '/health/', '/health/live', '/health/ready'])

/** A span for each request, a part of its client's trace if that has one. Register it before the routes. */
export function traceRequests(server: Server, tracer: Tracer): void {
  const spans = new WeakMap<FastifyRequest, Span>()
  server.addHook('onRequest', (request, _reply, done) => {
    const route = request.routeOptions.url
    if (route !== undefined && UNTRACED.has(route)) return done()
    const parent = propagation.extract(ROOT_CONTEXT, request.headers)
    const span = tracer.startSpan(
      nameOf(request.method, route),
      requestSpan(request, route),
      parent,
    )
    spans.set(request, span)
    context.with(trace.setSpan(parent, span), done)
  })
  server.addHook('onResponse', (request, reply, done) => {
    const span = spans.get(request)
    span?.setAttribute('http.response.status_code', reply.statusCode)
    if (reply.statusCode >= 500) span?.setStatus({ code: SpanStatusCode.ERROR })
    span?.end()
    done()
  })
}

function nameOf(method: string, route: string | undefined): string {
  return route === undefined ? method : `${method} ${route}`
}

/** Of the path only its pattern: the rest may be a key to something. */
function requestSpan({ method }: FastifyRequest, route: string | undefined) {
  const attributes = {
    'http.request.method': method,
    ...(route !== undefined && { 'http.route': route }),
  }
  return { kind: SpanKind.SERVER, attributes }
}
