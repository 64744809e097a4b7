import type { Logger } from 'pino'
import type { Database } from '../db/database.ts'
import { DatabaseAway, isDatabaseAway } from '../db/outage.ts'
import type { Clock } from '../ports/clock.ts'
import * as queue from './queue.ts'
import { LeaseLost, type Lease } from './task.ts'

const LONGEST_RETRY_MS = 1000

/**
 * Renews a lease in good time until the signal is aborted. Calls `onLost` once: with `LeaseLost` when somebody else has
 * the task, or with `DatabaseAway` when the lease ran out because the database could not be reached or did not answer.
 *
 * A process that was frozen beyond its lease asks before it gives up: often nobody took the task meanwhile.
 */
export function keepLease(
  needs: { db: Database; clock: Clock; log: Logger; leaseMs: number },
  lease: Lease,
  signal: AbortSignal,
  onLost: (reason: LeaseLost | DatabaseAway) => void,
): void {
  const { db, clock, log, leaseMs } = needs
  let endsAt = performance.now() + leaseMs
  let isAsking = false
  let retry: NodeJS.Timeout | undefined

  const timer = setInterval(() => {
    if (!isAsking) void renew()
    else giveUpIfOver(new Error('it did not answer before a lease ended'))
  }, leaseMs / 3)
  signal.addEventListener('abort', stop, { once: true })

  function stop(): void {
    clearInterval(timer)
    clearTimeout(retry)
  }

  async function renew(): Promise<void> {
    isAsking = true
    clearTimeout(retry)
    const end = performance.now() + leaseMs
    try {
      const until = new Date(clock.now().getTime() + leaseMs)
      if (await queue.renew(db, lease, until)) endsAt = end
      else onLost(new LeaseLost())
    } catch (error) {
      if (!isDatabaseAway(error))
        log.warn({ err: error, task: lease.id }, 'could not renew a lease')
      giveUpIfOver(error)
      // Sooner than usual: once the database is back, others may take what has run out.
      if (!signal.aborted)
        retry = setTimeout(() => void renew(), Math.min(LONGEST_RETRY_MS, leaseMs / 10))
    } finally {
      isAsking = false
    }
  }

  function giveUpIfOver(cause: unknown): void {
    if (performance.now() >= endsAt) onLost(new DatabaseAway(cause))
  }
}
