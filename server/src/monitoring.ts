import type { Server as HttpServer } from 'node:http'
import type { Logger } from 'pino'
import type { MonitoringSettings } from './config/monitoring-settings.ts'
import type { Database } from './db/database.ts'
import type { CheckHealth } from './health/health.ts'
import { createReadiness, type Readiness } from './health/readiness.ts'
import { healthRoutes } from './health/routes.ts'
import { monitorAccess, type MayMonitor } from './http/monitor-access.ts'
import type { Server } from './http/server.ts'
import { createMetrics } from './metrics/metrics.ts'
import { countRequests, metricsRoutes } from './metrics/routes.ts'
import { workerServer } from './metrics/worker-server.ts'
import type { Clock } from './ports/clock.ts'
import type { RedisLink } from './ports/redis/redis.ts'
import type { WatchStep } from './processing/watch-step.ts'
import type { Handlers } from './tasks/task.ts'
import { watchRuns } from './tasks/watch-runs.ts'
import type { Tracing } from './tracing/tracing.ts'

/** All that looks at the program from outside, wired once: metrics, readiness and traces. */
export interface Monitoring {
  readiness: Readiness
  mayMonitor: MayMonitor
  watchServer(server: Server): void
  addRoutes(server: Server, checkHealth: CheckHealth): void
  watchHandlers(handlers: Handlers): Handlers
  watchStep: WatchStep
  /** For a process that has no other; not listening yet. */
  createWorkerServer(): HttpServer
  /** Sends the last traces. */
  close(): Promise<void>
}

export async function createMonitoring(needs: {
  settings: MonitoringSettings
  db: Database
  clock: Clock
  redis: RedisLink | null
  log: Logger
}): Promise<Monitoring> {
  const { settings, db, log } = needs
  const metrics = createMetrics(needs)
  const readiness = createReadiness(db)
  const mayMonitor = monitorAccess(settings.metricsToken)
  const tracing = await traces(settings, log)
  const { work } = metrics
  return {
    readiness,
    mayMonitor,
    watchServer(server) {
      tracing?.traceRequests(server)
      countRequests(server, metrics)
    },
    addRoutes(server, checkHealth) {
      healthRoutes(server, { checkHealth, readiness })
      metricsRoutes(server, metrics)
    },
    watchHandlers(handlers) {
      const counted = watchRuns(handlers, work.watchRun)
      return tracing ? watchRuns(counted, tracing.watchRun) : counted
    },
    watchStep: (run, doStep) => {
      const timed = (): ReturnType<typeof doStep> => work.watchStep(run, doStep)
      return tracing ? tracing.watchStep(run, timed) : timed()
    },
    createWorkerServer: () => workerServer({ metrics, readiness, mayMonitor }),
    close: async () => await tracing?.close(),
  }
}

/** Nothing of it is loaded where nobody wants traces. */
async function traces({ tracing }: MonitoringSettings, log: Logger): Promise<Tracing | null> {
  if (!tracing) return null
  const { openTracing } = await import('./tracing/open-telemetry.ts')
  return openTracing(tracing, log)
}
