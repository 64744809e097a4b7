import { sql } from 'kysely'
import type { Database } from '../db/database.ts'

export interface Health {
  status: 'ok' | 'error'
  components: { database: 'ok' | 'error'; cache: 'ok' | 'error' }
}

export type CheckHealth = () => Promise<Health>

const TIMEOUT_MS = 2000

/** Whether what every request needs is there. Never throws, and answers within two seconds. */
export function healthCheck(db: Database): CheckHealth {
  return async () => {
    const database = await isAnswering(() => sql`select 1`.execute(db))
    return {
      status: database ? 'ok' : 'error',
      // Counters and caches live in this process: they are there when it is.
      components: { database: database ? 'ok' : 'error', cache: 'ok' },
    }
  }
}

async function isAnswering(ask: () => Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), TIMEOUT_MS)
  })
  const answer = ask().then(
    () => true,
    () => false,
  )
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}
