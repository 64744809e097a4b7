import type { Rate } from '../config/env-values.ts'
import type { Database } from '../db/database.ts'
import { throttled } from '../errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { Counters } from '../ports/counters/counters.ts'

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
  counters: Counters
  /** How many wrong passwords in which time cost nothing. */
  free: Rate
}): LoginThrottle {
  const { db, clock, counters, free } = needs
  const failures = counters.counter('failures', free.windowMs)
  const waits = counters.waits('waits')

  return {
    async admit({ email, userId, address }) {
      const isKnown = userId !== null && (await isKnownAddress(db, userId, address, clock.now()))
      const counted = isKnown ? `${email} ${address}` : email
      const leftMs = await waits.leftMs(counted)
      if (leftMs > 0) throw throttled(Math.ceil(leftMs / 1000))
      return counted
    },

    async failed(counted) {
      const { count } = await failures.add(counted)
      const beyond = count - free.count
      if (beyond <= 0) return
      await waits.begin(counted, Math.min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (beyond - 1)))
    },

    async succeeded(counted) {
      await failures.forget(counted)
      await waits.forget(counted)
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
