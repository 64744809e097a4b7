import { RateLimiterMemory } from 'rate-limiter-flexible'
import type { Rate } from '../config/env-values.ts'
import type { Database } from '../db/database.ts'
import { throttled } from '../errors.ts'
import type { Clock } from '../ports/clock.ts'

/**
 * Slows down guessing of one account's password, from however many addresses it comes: after some wrong ones, each
 * next has to wait, twice as long every time. Addresses from which the account signed in lately are counted by
 * themselves, so that strangers who guess cannot keep its owner out. It counts for unknown accounts just the same.
 */
export interface LoginThrottle {
  /** Before the password is looked at. Throws `throttled`. Returns what is counted. */
  admit(login: { email: string; userId: number | null; address: string }): Promise<string>
  failed(counted: string): Promise<void>
  succeeded(counted: string): Promise<void>
}

const FIRST_WAIT_S = 1
/** At most 1440 guesses a day, and never longer for an owner on the move. */
const LONGEST_WAIT_S = 60
const KNOWN_FOR_MS = 30 * 86_400_000

export function createLoginThrottle(needs: {
  db: Database
  clock: Clock
  /** How many wrong passwords in which time cost nothing. */
  free: Rate
}): LoginThrottle {
  const { db, clock, free } = needs
  const failures = new RateLimiterMemory({
    keyPrefix: 'failures',
    points: free.count,
    duration: free.windowMs / 1000,
  })
  const waits = new RateLimiterMemory({ keyPrefix: 'waits', points: 1, duration: 1 })

  return {
    async admit({ email, userId, address }) {
      const isKnown = userId !== null && (await isKnownAddress(db, userId, address, clock.now()))
      const counted = isKnown ? `${email} ${address}` : email
      const wait = await waits.get(counted)
      if (wait && wait.msBeforeNext > 0) throw throttled(Math.ceil(wait.msBeforeNext / 1000))
      return counted
    },

    async failed(counted) {
      const { consumedPoints } = await failures.penalty(counted)
      const beyond = consumedPoints - free.count
      if (beyond <= 0) return
      await waits.block(counted, Math.min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (beyond - 1)))
    },

    async succeeded(counted) {
      await failures.delete(counted)
      await waits.delete(counted)
    },
  }
}

/** Whether this account was signed in from there within a month. */
async function isKnownAddress(
  db: Database,
  userId: number,
  address: string,
  now: Date,
): Promise<boolean> {
  const session = await db
    .selectFrom('sessions')
    .select('id')
    .where('user_id', '=', userId)
    .where('address', '=', address)
    .where('created_at', '>', new Date(now.getTime() - KNOWN_FOR_MS))
    .limit(1)
    .executeTakeFirst()
  return session !== undefined
}
