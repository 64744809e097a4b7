import { context, diag, propagation, type Tracer } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import {
  defaultResource,
  detectResources,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceNameEnvDetector,
} from '@opentelemetry/resources'
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import type { Logger } from 'pino'
import type { TracingSettings } from '../config/monitoring-settings.ts'
import { within } from '../health/within.ts'
import { VERSION } from '../version.ts'
import { samplerOf } from './sampler.ts'
import { traceRequests } from './requests.ts'
import { runTracing } from './runs.ts'
import { traceTools } from './tools.ts'
import type { Tracing } from './tracing.ts'

const FLUSH_MS = 3000
const DETECTORS = [resourceAttributesEnvDetector, serviceNameEnvDetector]

/**
 * Traces as OpenTelemetry has them, sent by OTLP over HTTP. Where to, with which headers and by which name: exporter and
 * resource read OTEL_EXPORTER_OTLP_*, OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES themselves. One for a process.
 */
export function openTracing(settings: TracingSettings, log: Logger): Tracing {
  diag.setLogger(complaints(log))
  context.setGlobalContextManager(new AsyncLocalStorageContextManager())
  propagation.setGlobalPropagator(new W3CTraceContextPropagator())
  const provider = new TracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': 'videoflix', 'service.version': VERSION }))
      .merge(detectResources({ detectors: DETECTORS })),
    sampler: samplerOf(settings),
    spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter() })],
  })
  const tracer: Tracer = provider.getTracer('videoflix', VERSION)
  const stopTools = traceTools(tracer)
  return {
    traceRequests: (server) => traceRequests(server, tracer),
    ...runTracing(tracer),
    async close() {
      stopTools()
      const sent = provider.shutdown().then(() => true)
      const isSent = await within(sent, FLUSH_MS)
      if (!isSent)
        log.warn('traces: the last ones could not be sent: look whether the collector runs')
      context.disable()
      propagation.disable()
      diag.disable()
    },
  }
}

/** A collector that is away costs a line, not a request. */
function complaints(log: Logger) {
  const warn = (message: string): void => log.warn(`traces: ${message}`)
  return { error: warn, warn, info: () => {}, debug: () => {}, verbose: () => {} }
}
