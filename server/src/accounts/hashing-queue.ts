import { availableParallelism } from 'node:os'
import { AppError } from '../errors.ts'

/** Hashing must leave a core to those who only browse, and threads of the pool to files. */
const AT_ONCE = Math.max(1, Math.min(2, availableParallelism() - 1))
/** About two seconds of work. */
const WAITING_MAX = 64 * AT_ONCE

export interface HashingQueue {
  /** Throws as `run` would now, before anything was spent on a request that cannot be served. */
  assertRoom(): void
  run<T>(work: () => Promise<T>): Promise<T>
}

/**
 * Runs so many at once, the others in the order of asking. Throws `unavailable` when too many wait: each costs tens of
 * milliseconds of a core, and a flood of logins must cost those who log in, not everybody.
 */
export function createHashingQueue(): HashingQueue {
  const waiting: (() => void)[] = []
  let running = 0

  function assertRoom(): void {
    if (waiting.length < WAITING_MAX) return
    throw new AppError('unavailable', 'Too many people are signing in at once: try again soon.', {
      retryAfterSeconds: 3,
    })
  }

  async function run<T>(work: () => Promise<T>): Promise<T> {
    assertRoom()
    if (running >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve))
    else running++
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      // The place is handed on: nobody who came later can take it.
      if (next) next()
      else running--
    }
  }

  return { assertRoom, run }
}
