import {
  RateLimiterMemory,
  type IRateLimiterOptions,
  type RateLimiterAbstract,
} from 'rate-limiter-flexible'
import type { Counter, Counters, Waits } from './counters.ts'

/** Counts what this process sees. */
export const inProcessCounters: Counters = countersOf((options) => new RateLimiterMemory(options))

/** The library's limiters in our words. `hide` makes of a key what may be stored. */
export function countersOf(
  limiter: (options: IRateLimiterOptions) => RateLimiterAbstract,
  hide = (key: string): string => key,
): Counters {
  return {
    counter: (name, windowMs) =>
      // It only counts; how many are too many is for whoever asks.
      asCounter(limiter({ keyPrefix: name, points: 1, duration: windowMs / 1000 }), hide),
    waits: (name) => asWaits(limiter({ keyPrefix: name, points: 1, duration: 1 }), hide),
  }
}

function asCounter(limiter: RateLimiterAbstract, hide: (key: string) => string): Counter {
  return {
    async add(key) {
      const { consumedPoints, msBeforeNext } = await limiter.penalty(hide(key))
      return { count: consumedPoints, leftMs: msBeforeNext }
    },
    forget: async (key) => void (await limiter.delete(hide(key))),
  }
}

function asWaits(limiter: RateLimiterAbstract, hide: (key: string) => string): Waits {
  return {
    begin: async (key, seconds) => void (await limiter.block(hide(key), seconds)),
    leftMs: async (key) => Math.max(0, (await limiter.get(hide(key)))?.msBeforeNext ?? 0),
    forget: async (key) => void (await limiter.delete(hide(key))),
  }
}
