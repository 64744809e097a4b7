import { createHmac } from 'node:crypto'
import { RateLimiterMemory, RateLimiterRedis } from 'rate-limiter-flexible'
import type { RedisLink } from '../redis/redis.ts'
import type { Counters } from './counters.ts'
import { countersOf } from './in-process.ts'

/**
 * Counts what all servers see. While Redis is away each counts for itself, from zero. Keys are stored as HMACs under
 * `secret`, and every one of them expires.
 */
export function redisCounters(redis: RedisLink, secret: Buffer): Counters {
  return countersOf(
    (options) =>
      new RateLimiterRedis({
        ...options,
        keyPrefix: `${redis.prefix}count:${options.keyPrefix}`,
        storeClient: redis.commands,
        rejectIfRedisNotReady: true,
        insuranceLimiter: new RateLimiterMemory(options),
      }),
    (key) => createHmac('sha256', secret).update(key).digest('base64url').slice(0, 22),
  )
}
