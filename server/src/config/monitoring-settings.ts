import { z } from 'zod'
import { httpUrl, integer, seconds, text } from './env-values.ts'

/** Who may look at the program from outside, and where it tells of its work. */
export interface MonitoringSettings {
  /** Lets in whoever sends it as a bearer token to `/metrics`; null: loopback alone. */
  metricsToken: string | null
  /** Where `videoflix worker` answers to `/metrics` and `/health/…`; null: nowhere. */
  workerPort: number | null
  /** How long a server goes on as usual after SIGTERM, while it says that it is not ready. */
  drainDelayMs: number
  /** Null: nothing is traced, and nothing of it is loaded. */
  tracing: TracingSettings | null
}

/** What else there is to tell, the exporter and the SDK read from OTEL_* themselves. */
export interface TracingSettings {
  sampler: Sampler
  /** From 0 to 1, for the samplers that take one. */
  ratio: number
}

const SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const
export type Sampler = (typeof SAMPLERS)[number]

export const MONITORING_ENV = {
  METRICS_TOKEN: text.describe(
    'Whoever sends it as a bearer token may read `/metrics`, at least 32 random characters; see [monitoring.md](monitoring.md). Default none: from this machine alone.',
  ),
  WORKER_METRICS_PORT: integer(1, 65_535).describe(
    'Port at which `videoflix worker` answers to `/metrics`, `/health/live` and `/health/ready`, on the address HOST; each worker of a machine needs its own. Default none.',
  ),
  DRAIN_DELAY: seconds(0, 300).describe(
    'How long a server that is told to end goes on taking requests, while `/health/ready` says 503, so that balancers can look elsewhere. Default 0.',
  ),
  OTEL_EXPORTER_OTLP_ENDPOINT: httpUrl.describe(
    'Where traces are sent, by OTLP over HTTP (protobuf), such as `http://collector:4318`. Default none: nothing is traced.',
  ),
  OTEL_SERVICE_NAME: text.describe('What traces call this program. Default `videoflix`.'),
  OTEL_TRACES_SAMPLER: z
    .enum(SAMPLERS, { error: `write one of ${SAMPLERS.join(', ')}` })
    .describe(
      'Which traces are sent: `always_on`, `always_off`, `traceidratio`, or one of these after `parentbased_`. Default `parentbased_always_on`.',
    ),
  OTEL_TRACES_SAMPLER_ARG: text
    .refine((value) => /^(0?\.\d+|[01](\.0*)?)$/.test(value), {
      error: 'write a number from 0 to 1',
    })
    .transform(Number)
    .describe('Share of the traces that `traceidratio` sends, from 0 to 1. Default 1.'),
} as const

type MonitoringEnv = {
  [Name in keyof typeof MONITORING_ENV]?: z.output<(typeof MONITORING_ENV)[Name]>
}

export function monitoringSettings(env: MonitoringEnv): MonitoringSettings {
  const isTraced = env.OTEL_EXPORTER_OTLP_ENDPOINT !== undefined
  return {
    metricsToken: env.METRICS_TOKEN ?? null,
    workerPort: env.WORKER_METRICS_PORT ?? null,
    drainDelayMs: env.DRAIN_DELAY ?? 0,
    tracing: isTraced
      ? {
          sampler: env.OTEL_TRACES_SAMPLER ?? 'parentbased_always_on',
          ratio: env.OTEL_TRACES_SAMPLER_ARG ?? 1,
        }
      : null,
  }
}
