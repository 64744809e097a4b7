import { within } from '../health/within.ts'

/** Asking takes at most a hundredth of the time. */
const SHARE = 100

/**
 * What somebody else knows, asked at most so often and by one at a time: the longer an answer takes, the longer it is
 * kept. Null where it fails or is not there in time; it counts once it comes.
 */
export function fresh<T>(
  ask: () => Promise<T>,
  { keptMs, patienceMs }: { keptMs: number; patienceMs: number },
): () => Promise<T | null> {
  let known: { value: T; until: number } | undefined
  let asking: Promise<T> | undefined

  async function learn(): Promise<T> {
    try {
      const since = performance.now()
      const value = await ask()
      const now = performance.now()
      known = { value, until: now + Math.max(keptMs, SHARE * (now - since)) }
      return value
    } finally {
      asking = undefined
    }
  }

  return async () => {
    if (known && performance.now() < known.until) return known.value
    asking ??= learn()
    return await within(asking, patienceMs)
  }
}
