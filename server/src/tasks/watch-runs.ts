import { DRAINING } from './run.ts'
import { LeaseLost, NotYet, TaskFailure, type Handlers, type RunningTask } from './task.ts'
import type { TaskKind } from './task.ts'

/** Told of each run of a task, and does it. */
export type WatchRun = (
  kind: TaskKind,
  task: RunningTask<TaskKind>,
  run: () => Promise<void>,
) => Promise<void>

/** The same handlers, with somebody around every run. */
export function watchRuns(handlers: Handlers, watch: WatchRun): Handlers {
  const watched = Object.entries(handlers).map(([name, handler]) => {
    const kind = name as TaskKind
    const run = (task: RunningTask<TaskKind>): Promise<void> =>
      watch(kind, task, () => handler.run(task as never))
    return [kind, { ...handler, run }]
  })
  return Object.fromEntries(watched) as Handlers
}

/** How a run that did not end well is settled. */
export interface RunEnd {
  /** `released`: nothing failed, and the task is given back or belongs to somebody else. */
  outcome: 'failed' | 'released'
  /** A word, such as `undecodable` or `draining`. */
  reason: string
}

export function endOfRun(error: unknown, signal: AbortSignal): RunEnd {
  const cause: unknown = signal.aborted ? signal.reason : error
  if (cause === DRAINING) return { outcome: 'released', reason: DRAINING }
  if (cause instanceof LeaseLost) return { outcome: 'released', reason: 'lease_lost' }
  if (cause instanceof NotYet) return { outcome: 'released', reason: 'not_yet' }
  const reason = cause instanceof TaskFailure ? cause.code : 'internal'
  return { outcome: 'failed', reason }
}
