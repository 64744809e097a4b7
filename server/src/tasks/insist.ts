import { setTimeout as sleep } from 'node:timers/promises'
import { isDatabaseAway } from '../db/outage.ts'

const WAIT_MS = 1000

/** Does it, and while the database is away, again and again until the signal is aborted: so it must be right to repeat. */
export async function insist<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!isDatabaseAway(error) || signal.aborted) throw error
      await sleep(WAIT_MS, undefined, { signal }).catch(() => {})
      if (signal.aborted) throw error
    }
  }
}
