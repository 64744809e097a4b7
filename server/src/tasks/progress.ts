import type { Progress } from './task.ts'

const INTERVAL_MS = 1000

/** Takes progress as often as it comes and stores the latest, at most once a second. */
export interface ProgressKeeper {
  report(progress: Progress): void
  /** What is not stored by now never will be. */
  stop(): void
}

export function keepProgress(store: (progress: Progress) => Promise<void>): ProgressKeeper {
  let latest: Progress | undefined
  let timer: NodeJS.Timeout | undefined
  let isStopped = false

  function flush(): void {
    timer = undefined
    if (latest === undefined) return
    const progress = latest
    latest = undefined
    timer = setTimeout(flush, INTERVAL_MS)
    timer.unref()
    void store(progress)
  }

  return {
    report(progress) {
      if (isStopped) return
      latest = progress
      if (timer === undefined) flush()
    },
    stop() {
      isStopped = true
      clearTimeout(timer)
    },
  }
}
