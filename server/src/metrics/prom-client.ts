import { createRequire } from 'node:module'
import type prom from 'prom-client'

/**
 * The parts of prom-client that are used. Its index also loads `cluster`, a client of gateways and the API of
 * OpenTelemetry: 8 MB that nobody needs.
 */
const load = createRequire(import.meta.url)

export const Registry = load('prom-client/lib/registry.js') as typeof prom.Registry
export const Counter = load('prom-client/lib/counter.js') as typeof prom.Counter
export const Gauge = load('prom-client/lib/gauge.js') as typeof prom.Gauge
export const Histogram = load('prom-client/lib/histogram.js') as typeof prom.Histogram

type Collector = (
  registry: prom.Registry,
  options: { eventLoopMonitoringPrecision: number },
) => void

/** What `collectDefaultMetrics` consists of, without the CPU, which needs that API, and garbage collection. */
export const processCollectors = [
  'eventLoopLag',
  'heapSizeAndUsed',
  'osMemoryHeap',
  'processMaxFileDescriptors',
  'processOpenFileDescriptors',
  'processStartTime',
].map((name) => load(`prom-client/lib/metrics/${name}.js`) as Collector)
