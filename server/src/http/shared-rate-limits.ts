import type { FastifyRateLimitStore, FastifyRateLimitStoreCtor } from '@fastify/rate-limit'
import type { Counter, Counters } from '../ports/counters/counters.ts'

/** Where @fastify/rate-limit counts, so that several servers count together. */
export function sharedRateLimits(counters: Counters): FastifyRateLimitStoreCtor {
  return class SharedRateLimits implements FastifyRateLimitStore {
    #name = 'requests'
    #counter: Counter | undefined

    incr(
      key: string,
      callback: (error: Error | null, result?: { current: number; ttl: number }) => void,
      windowMs: number,
    ): void {
      this.#counter ??= counters.counter(this.#name, windowMs)
      this.#counter.add(key).then(
        ({ count, leftMs }) => callback(null, { current: count, ttl: leftMs }),
        (error: Error) => callback(error),
      )
    }

    /** Of one route. */
    child(options: object): SharedRateLimits {
      const { method, url } = (options as { routeInfo: { method: string; url: string } }).routeInfo
      const store = new SharedRateLimits()
      store.#name = `requests:${method}${url}`
      return store
    }
  }
}
