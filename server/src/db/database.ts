import { mkdir, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Kysely, PostgresDialect, type Transaction } from 'kysely'
import pg from 'pg'
import type { DatabaseSettings } from '../config/settings.ts'
import { AppError } from '../errors.ts'
import { sqliteDialect } from './sqlite-driver.ts'
import type { Tables } from './tables.ts'

/** What a plain read or a single write takes. */
export type Database = Kysely<Tables>
/** What a statement takes that is true only together with others. */
export type Transacting = Transaction<Tables>

export type Engine = DatabaseSettings['kind']

/** Connects lazily on PostgreSQL; the SQLite file is made at once. Close with `destroy()`. */
export async function openDatabase(settings: DatabaseSettings): Promise<Database> {
  if (settings.kind === 'postgres') return new Kysely({ dialect: await postgresDialect(settings) })
  try {
    await mkdir(dirname(settings.file), { recursive: true })
    return new Kysely({ dialect: sqliteDialect(settings.file) })
  } catch (cause) {
    throw new AppError(
      'misconfigured',
      `The folder of the database, ${dirname(settings.file)}, cannot be written (${(cause as Error).message}): set DATA_DIR to a folder that can.`,
      { cause },
    )
  }
}

async function postgresDialect(
  settings: Extract<DatabaseSettings, { kind: 'postgres' }>,
): Promise<PostgresDialect> {
  // Ours stay far below 2^53: ids, sizes in bytes, counts.
  pg.types.setTypeParser(pg.types.builtins.INT8, Number)
  const ca = settings.rootCertificateFile
    ? await readFile(settings.rootCertificateFile, 'utf8')
    : undefined
  const tls = settings.requireTls || ca !== undefined
  const pool = new pg.Pool({
    connectionString: settings.url,
    max: 10,
    connectionTimeoutMillis: 5000,
    idleTimeoutMillis: 30_000,
    // A process that is frozen inside a transaction keeps its locks no longer than this.
    idle_in_transaction_session_timeout: 15_000,
    ...(tls && { ssl: { rejectUnauthorized: ca !== undefined, ...(ca && { ca }) } }),
  })
  // A connection that breaks between two queries, in the pool or outside, is the next query's failure and nobody's crash.
  pool.on('error', () => {})
  pool.on('connect', (client) => void client.on('error', () => {}))
  return new PostgresDialect({ pool })
}

const ATTEMPTS = 5
const DEADLOCK = '40P01'

/**
 * One short transaction; on SQLite it holds the write lock from its start. No other I/O belongs inside: when PostgreSQL
 * ends it to resolve a deadlock, it is done again from its start.
 */
export async function transact<T>(
  db: Database,
  work: (trx: Transacting) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await db.transaction().execute(work)
    } catch (error) {
      if (codeOf(error) !== DEADLOCK || attempt === ATTEMPTS) throw error
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

function codeOf(error: unknown): string {
  return (error as { code?: string } | null)?.code ?? ''
}
