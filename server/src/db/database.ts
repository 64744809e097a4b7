import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Kysely, type Transaction } from 'kysely'
import type { Logger } from 'pino'
import type { DatabaseSettings } from '../config/database-settings.ts'
import { AppError } from '../errors.ts'
import { rememberPool } from './pool-use.ts'
import { postgresDialect } from './postgres.ts'
import { sqliteDialect } from './sqlite-driver.ts'
import type { Tables } from './tables.ts'

/** What a plain read or a single write takes. */
export type Database = Kysely<Tables>
/** What a statement takes that is true only together with others. */
export type Transacting = Transaction<Tables>

export type Engine = DatabaseSettings['kind']

/**
 * Connects lazily on PostgreSQL; the SQLite file is made at once. Close with `destroy()`. While the database cannot be
 * used, whatever is asked of it fails with `DatabaseAway`; the log is told once.
 */
export async function openDatabase(settings: DatabaseSettings, log?: Logger): Promise<Database> {
  if (settings.kind === 'postgres') {
    const { dialect, pool } = await postgresDialect(settings, log)
    const db: Database = new Kysely({ dialect })
    rememberPool(db, pool)
    return db
  }
  try {
    await mkdir(dirname(settings.file), { recursive: true })
    return new Kysely({ dialect: sqliteDialect(settings.file, log) })
  } catch (cause) {
    throw new AppError(
      'misconfigured',
      `The folder of the database, ${dirname(settings.file)}, cannot be written (${(cause as Error).message}): set DATA_DIR to a folder that can.`,
      { cause },
    )
  }
}

const ATTEMPTS = 5
/** Deadlock and serialization failure: PostgreSQL has chosen one of two transactions to go first. */
const LOSERS = new Set(['40P01', '40001'])

/**
 * One short transaction; on SQLite it holds the write lock from its start. No other I/O belongs inside: when PostgreSQL
 * ends it because it is in another's way, it is done again from its start.
 */
export async function transact<T>(
  db: Database,
  work: (trx: Transacting) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await db.transaction().execute(work)
    } catch (error) {
      if (!LOSERS.has(codeOf(error)) || attempt === ATTEMPTS) throw error
    }
  }
}

const UNIQUE_VIOLATIONS = new Set([
  'SQLITE_CONSTRAINT_UNIQUE',
  'SQLITE_CONSTRAINT_PRIMARYKEY',
  '23505',
])

export function isUniqueViolation(error: unknown): boolean {
  return UNIQUE_VIOLATIONS.has(codeOf(error))
}

const FOREIGN_KEY_VIOLATIONS = new Set(['SQLITE_CONSTRAINT_FOREIGNKEY', '23503'])

/** What a new row belongs to is not there: mostly because it was deleted a moment ago. */
export function isForeignKeyViolation(error: unknown): boolean {
  return FOREIGN_KEY_VIOLATIONS.has(codeOf(error))
}

function codeOf(error: unknown): string {
  return (error as { code?: string } | null)?.code ?? ''
}
