import { readFile } from 'node:fs/promises'
import type { ConnectionOptions } from 'node:tls'
import {
  PostgresAdapter,
  PostgresDialect,
  PostgresDriver,
  type Driver,
  type PostgresPool,
} from 'kysely'
import type { Logger } from 'pino'
import pg from 'pg'
import type { PostgresSettings, TlsSettings } from '../config/database-settings.ts'
import { AppError } from '../errors.ts'
import { outageLog } from './outage.ts'
import { guardPool } from './postgres-pool.ts'

/** To connect, or to get a connection while all are in use. */
const CONNECT_TIMEOUT_MS = 5000

/** Kysely on PostgreSQL. Connects when it is first asked. */
export async function postgresDialect(
  settings: PostgresSettings,
  log?: Logger,
): Promise<{ dialect: PostgresDialect; pool: pg.Pool }> {
  // Ours stay far below 2^53: ids, sizes in bytes, counts.
  pg.types.setTypeParser(pg.types.builtins.INT8, Number)
  const { statementTimeoutMs } = settings
  const pool = new pg.Pool({
    connectionString: settings.url,
    max: settings.poolSize,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    application_name: settings.applicationName,
    // A process that is frozen inside a transaction keeps its locks no longer than this.
    idle_in_transaction_session_timeout: 15_000,
    ...(statementTimeoutMs !== null && { statement_timeout: statementTimeoutMs }),
    ssl: settings.tls !== null && (await tlsOptions(settings.tls)),
  })
  const guarded = guardPool(pool, { statementTimeoutMs, outage: outageLog(log) })
  return { dialect: new Dialect({ pool: guarded }), pool }
}

class Dialect extends PostgresDialect {
  readonly #config: { pool: PostgresPool }

  constructor(config: { pool: PostgresPool }) {
    super(config)
    this.#config = config
  }

  override createDriver(): Driver {
    return new RollingBackDriver(this.#config)
  }

  override createAdapter(): PostgresAdapter {
    return new LocklessAdapter()
  }
}

type Connection = Parameters<PostgresDriver['rollbackTransaction']>[0]

class RollingBackDriver extends PostgresDriver {
  /** Where it fails, PostgreSQL has lost the connection and rolls back by itself: what went wrong before is to be told. */
  override async rollbackTransaction(connection: Connection): Promise<void> {
    await super.rollbackTransaction(connection).catch(() => {})
  }
}

/** `migrate` has a lock of its own: Kysely's belongs to a session, which poolers share out. */
class LocklessAdapter extends PostgresAdapter {
  override acquireMigrationLock(): Promise<void> {
    return Promise.resolve()
  }

  override releaseMigrationLock(): Promise<void> {
    return Promise.resolve()
  }
}

async function tlsOptions(tls: TlsSettings): Promise<ConnectionOptions> {
  const { isVerified, rootCertificateFile: file } = tls
  if (file === null) return { rejectUnauthorized: isVerified }
  try {
    return { rejectUnauthorized: isVerified, ca: await readFile(file, 'utf8') }
  } catch (cause) {
    throw new AppError(
      'misconfigured',
      `DB_SSL_ROOTCERT: the file ${file} cannot be read (${(cause as NodeJS.ErrnoException).code}): write the path of a certificate in PEM.`,
      { cause },
    )
  }
}

/** Says what to look at, for an operator, when PostgreSQL cannot be used. */
export function adviceOf(settings: PostgresSettings, error: unknown): string {
  const { code = '', message } = rootOf(error)
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return 'its certificate is for another name: write in DB_HOST or DATABASE_URL the one that it is for'
  }
  if (/CERT|ISSUER|SIGNATURE/.test(code)) {
    return 'its certificate was not accepted: DB_SSL_ROOTCERT must name the file of the authority that issued it'
  }
  // The library has no code for it.
  if (settings.tls !== null && message.includes('does not support SSL')) {
    return 'it offers no TLS, which DB_SSL_REQUIRE, DB_SSL_ROOTCERT or sslmode asks for: turn on `ssl` there, or remove them'
  }
  return 'check DATABASE_URL or DB_*, and that it runs'
}

/** What was behind it all. */
export function rootOf(error: unknown): NodeJS.ErrnoException {
  let root = error as Error
  while (root.cause instanceof Error) root = root.cause
  return root
}
