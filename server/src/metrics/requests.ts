import type { Registry } from 'prom-client'
import { Histogram } from './prom-client.ts'

export interface RequestMetrics {
  /** `route` is the pattern, never what was asked for: a stranger could make a series of every path. */
  observe(method: string, route: string | undefined, status: number, durationMs: number): void
}

/** Whatever leads nowhere. */
const NO_ROUTE = '(none)'
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
const CLASSES = ['1xx', '2xx', '3xx', '4xx', '5xx']

export function requestMetrics(registry: Registry): RequestMetrics {
  const durations = new Histogram({
    name: 'videoflix_http_request_duration_seconds',
    help: 'From the head of a request to the end of its reply, by the pattern of its route.',
    labelNames: ['method', 'route', 'status'],
    // From a list out of memory to a film on a slow line.
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [registry],
  })
  return {
    observe(method, route = NO_ROUTE, status, durationMs) {
      const labels = {
        method: METHODS.has(method) ? method : 'other',
        route,
        status: CLASSES[Math.trunc(status / 100) - 1] ?? 'other',
      }
      durations.observe(labels, durationMs / 1000)
    },
  }
}
