import type pg from 'pg'
import type { Database } from './database.ts'

export interface PoolUse {
  inUse: number
  idle: number
  /** Who waits for a connection. */
  waiting: number
}

const pools = new WeakMap<Database, pg.Pool>()

export function rememberPool(db: Database, pool: pg.Pool): void {
  pools.set(db, pool)
}

/** How the connections of this process are used; null on SQLite, which has one and no queue. */
export function poolUse(db: Database): PoolUse | null {
  const pool = pools.get(db)
  if (pool === undefined) return null
  const { totalCount, idleCount, waitingCount } = pool
  return { inUse: totalCount - idleCount, idle: idleCount, waiting: waitingCount }
}
