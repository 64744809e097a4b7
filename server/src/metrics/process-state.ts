import type prom from 'prom-client'
import { VERSION } from '../version.ts'
import { Counter, Gauge, processCollectors, Registry } from './prom-client.ts'

/** A tenth of what is worth to be seen; each look costs a few microseconds. */
const LAG_PRECISION_MS = 20

let known: prom.Registry | undefined

/** Event loop, memory, CPU, files: there is one process, so there is one of these. */
export function processRegistry(): prom.Registry {
  known ??= makeRegistry()
  return known
}

function makeRegistry(): prom.Registry {
  const registry = new Registry()
  for (const collect of processCollectors) {
    collect(registry, { eventLoopMonitoringPrecision: LAG_PRECISION_MS })
  }
  registry.registerMetric(cpuTime())
  registry.registerMetric(buildInfo())
  return registry
}

function cpuTime(): prom.Counter {
  return new Counter({
    name: 'process_cpu_seconds_total',
    help: 'CPU time of this process, without the programs that it runs.',
    registers: [],
    collect() {
      const { user, system } = process.cpuUsage()
      this.reset()
      this.inc((user + system) / 1e6)
    },
  })
}

function buildInfo(): prom.Gauge {
  const info = new Gauge({
    name: 'videoflix_build_info',
    help: 'Always 1; what runs is in the labels.',
    labelNames: ['version'],
    registers: [],
  })
  info.set({ version: VERSION }, 1)
  return info
}
