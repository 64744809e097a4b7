import { availableParallelism } from 'node:os'
import { AppError } from '../errors.ts'

/** The thread pool is everybody's, files and all: hashing must leave a thread to the others. */
const AT_ONCE = Math.min(2, availableParallelism())
/** About two seconds of work. */
const WAITING_MAX = 128

/**
 * Runs so many at once, the others in the order of asking. Throws `unavailable` when too many wait: each costs tens of
 * milliseconds of a core, and a flood of logins must cost those who log in, not everybody.
 */
export function createHashingQueue(): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = []
  let running = 0
  return async (work) => {
    if (waiting.length >= WAITING_MAX) {
      throw new AppError('unavailable', 'Too many people are signing in at once: try again soon.', {
        retryAfterSeconds: 3,
      })
    }
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
}
