import type { Database } from '../db/database.ts'
import type { Clock } from '../ports/clock.ts'
import type { RedisLink } from '../ports/redis/redis.ts'
import { watchDatabase } from './database-state.ts'
import { processRegistry } from './process-state.ts'
import { Registry } from './prom-client.ts'
import { requestMetrics, type RequestMetrics } from './requests.ts'
import { workMetrics, type WorkMetrics } from './work.ts'

/** What Prometheus may know of this process, and of the database that it shares with others. */
export interface Metrics {
  requests: RequestMetrics
  work: WorkMetrics
  /** In Prometheus' text format. Answers within some seconds, whatever has become of the database. */
  render(): Promise<string>
}

export const METRICS_TYPE = Registry.PROMETHEUS_CONTENT_TYPE

export function createMetrics(needs: {
  db: Database
  clock: Clock
  redis: RedisLink | null
}): Metrics {
  const registry = new Registry()
  const ofProcess = processRegistry()
  const lookAtDatabase = watchDatabase(registry, needs)
  return {
    requests: requestMetrics(registry),
    work: workMetrics(registry),
    async render() {
      await lookAtDatabase()
      const texts = await Promise.all([registry.metrics(), ofProcess.metrics()])
      return texts.join('\n')
    },
  }
}
