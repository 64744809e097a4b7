import { sql } from 'kysely'
import type { Database } from '../../server/src/db/database.ts'
import { parentOf } from './cpu.ts'

/** The process of PostgreSQL that all others of it are children of. */
export async function postmasterOf(db: Database): Promise<number> {
  const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(db)
  return parentOf(rows[0]?.pid ?? 0)
}

/** Those of all databases. */
export async function connectionsOf(db: Database): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from pg_stat_activity where backend_type = 'client backend'`.execute(
    db,
  )
  return rows[0]?.count ?? 0
}
