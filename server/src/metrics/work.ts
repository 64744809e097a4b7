import type { Registry } from 'prom-client'
import { filmSeconds, type WatchStep } from '../processing/watch-step.ts'
import { endOfRun, type WatchRun } from '../tasks/watch-runs.ts'
import { Counter, Gauge, Histogram } from './prom-client.ts'

/** What this process does with tasks, told where it is done. */
export interface WorkMetrics {
  watchRun: WatchRun
  /** Only steps that end well have a speed. */
  watchStep: WatchStep
}

export function workMetrics(registry: Registry): WorkMetrics {
  const runs = runMetrics(registry)
  const steps = stepMetrics(registry)
  return {
    async watchRun(kind, task, run) {
      const since = performance.now()
      runs.inProgress.inc({ kind })
      try {
        await run()
        runs.total.inc({ kind, outcome: 'done' })
      } catch (error) {
        runs.total.inc({ kind, outcome: endOfRun(error, task.signal).outcome })
        throw error
      } finally {
        runs.inProgress.dec({ kind })
        runs.seconds.inc({ kind }, secondsSince(since))
      }
    },

    async watchStep(run, work) {
      const since = performance.now()
      const outcome = await work()
      const [film, took] = [filmSeconds(run), secondsSince(since)]
      if (film > 0 && took > 0) {
        const labels = { step: run.step.kind }
        steps.speed.observe(labels, film / took)
        steps.film.inc(labels, film)
        steps.work.inc(labels, took)
      }
      return outcome
    },
  }
}

function secondsSince(at: number): number {
  return (performance.now() - at) / 1000
}

function runMetrics(registry: Registry) {
  const registers = [registry]
  return {
    total: new Counter({
      name: 'videoflix_task_runs_total',
      help: 'Runs of tasks that ended in this process: done, failed, or released because nothing was to blame.',
      labelNames: ['kind', 'outcome'] as const,
      registers,
    }),
    seconds: new Counter({
      name: 'videoflix_task_run_seconds_total',
      help: 'Time that runs of tasks took in this process.',
      labelNames: ['kind'] as const,
      registers,
    }),
    inProgress: new Gauge({
      name: 'videoflix_task_runs_in_progress',
      help: 'Runs of tasks in this process now.',
      labelNames: ['kind'] as const,
      registers,
    }),
  }
}

function stepMetrics(registry: Registry) {
  const registers = [registry]
  const labelNames = ['step'] as const
  return {
    speed: new Histogram({
      name: 'videoflix_step_speed_ratio',
      help: 'Seconds of film for each second of work, of steps that ended well in this process.',
      labelNames,
      buckets: [0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256],
      registers,
    }),
    film: new Counter({
      name: 'videoflix_step_film_seconds_total',
      help: 'Film that these steps were for.',
      labelNames,
      registers,
    }),
    work: new Counter({
      name: 'videoflix_step_work_seconds_total',
      help: 'Time that these steps took.',
      labelNames,
      registers,
    }),
  }
}
