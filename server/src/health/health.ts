import { sql } from 'kysely'
import type { Database } from '../db/database.ts'
import type { RedisLink } from '../ports/redis/redis.ts'
import { within } from './within.ts'

export interface Health {
  status: 'ok' | 'error'
  components: { database: 'ok' | 'error'; cache: 'ok' | 'error' }
}

export type CheckHealth = () => Promise<Health>

const TIMEOUT_MS = 2000

/** Whether everything works as it should. Never throws, and answers within two seconds. */
export function healthCheck(needs: { db: Database; redis: RedisLink | null }): CheckHealth {
  const { db, redis } = needs
  return async () => {
    const [database, cache] = await Promise.all([
      isAnswering(() => sql`select 1`.execute(db)),
      // Without Redis, counters and caches live in this process: they are there when it is.
      redis === null || isAnswering(() => redis.check()),
    ])
    return {
      status: database && cache ? 'ok' : 'error',
      components: { database: database ? 'ok' : 'error', cache: cache ? 'ok' : 'error' },
    }
  }
}

async function isAnswering(ask: () => Promise<unknown>): Promise<boolean> {
  const answer = ask().then(() => true)
  return (await within(answer, TIMEOUT_MS)) !== null
}
