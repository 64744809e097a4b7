import type { Server } from '../http/server.ts'
import type { WatchStep } from '../processing/watch-step.ts'
import type { WatchRun } from '../tasks/watch-runs.ts'

/**
 * Spans of what the program does: requests by the pattern of their route, runs of tasks, programs that process films. In
 * their attributes is nothing about people, no secret and no URL.
 */
export interface Tracing {
  traceRequests(server: Server): void
  watchRun: WatchRun
  watchStep: WatchStep
  /** Sends what has not been sent yet. Never throws, and gives up after some seconds. */
  close(): Promise<void>
}
