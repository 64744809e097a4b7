import type { Logger } from 'pino'
import type { Database } from '../db/database.ts'
import type { Clock } from '../ports/clock.ts'
import * as queue from './queue.ts'
import type { Lease } from './task.ts'

/**
 * Renews a lease in good time until the signal is aborted. Calls `onLost` once when somebody else has the task, or when
 * the lease ran out because the database could not be reached or did not answer.
 *
 * A process that was frozen beyond its lease asks before it gives up: often nobody took the task meanwhile.
 */
export function keepLease(
  needs: { db: Database; clock: Clock; log: Logger; leaseMs: number },
  lease: Lease,
  signal: AbortSignal,
  onLost: () => void,
): void {
  const { db, clock, log, leaseMs } = needs
  let endsAt = performance.now() + leaseMs
  let isAsking = false

  const timer = setInterval(() => {
    if (!isAsking) void renew()
    else if (performance.now() >= endsAt) onLost()
  }, leaseMs / 3)
  signal.addEventListener('abort', () => clearInterval(timer), { once: true })

  async function renew(): Promise<void> {
    isAsking = true
    const end = performance.now() + leaseMs
    try {
      const until = new Date(clock.now().getTime() + leaseMs)
      if (await queue.renew(db, lease, until)) endsAt = end
      else onLost()
    } catch (error) {
      log.warn({ err: error, task: lease.id }, 'could not renew a lease')
      if (performance.now() >= endsAt) onLost()
    } finally {
      isAsking = false
    }
  }
}
