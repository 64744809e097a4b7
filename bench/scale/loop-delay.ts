import { monitorEventLoopDelay } from 'node:perf_hooks'

/** Loaded into a server before its own code: tells the parent, when asked, how long its event loop was held up since. */

export interface LoopDelay {
  maxMs: number
  p99Ms: number
}

const delay = monitorEventLoopDelay({ resolution: 1 })
delay.enable()
process.on('message', () => {
  const told: LoopDelay = { maxMs: delay.max / 1e6, p99Ms: delay.percentile(99) / 1e6 }
  delay.reset()
  process.send?.(told)
})
process.channel?.unref()
