import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Clock } from '../ports/clock.ts'
import type { DirectUploads } from './direct-uploads.ts'
import type { Staging } from './staging.ts'
import type { TusUploads } from './tus.ts'

const INTERVAL_MS = 60_000
/** To make a video of a long film may take minutes, and can be begun again. */
const PATIENCE_MS = 5000

/**
 * Finishes uploads that a crash left whole, and removes what was abandoned. Call `stop` before closing the database: it
 * waits for seconds at most, and what still runs then is cut off, as by a crash.
 */
export function startUploadSweep(needs: {
  clock: Clock
  log: Logger
  staging: Staging
  uploads: TusUploads
  /** Null where nothing goes straight to a bucket. */
  directUploads: DirectUploads | null
}): { stop(): Promise<void> } {
  const { clock, log, staging, uploads, directUploads } = needs
  let running = Promise.resolve()

  function sweep(): void {
    running = running
      .then(() => uploads.finishWhole())
      .then(() => staging.removeAbandoned(clock.now()))
      .then(() => uploads.removeAbandoned(clock.now()))
      .then(() => directUploads?.removeAbandoned(clock.now()))
      .catch((error: unknown) => log.error({ err: error }, 'could not sweep the uploads'))
  }

  const timer = setInterval(sweep, INTERVAL_MS)
  sweep()
  return {
    stop: async () => {
      clearInterval(timer)
      await Promise.race([running, pause(PATIENCE_MS, undefined, { ref: false })])
    },
  }
}
