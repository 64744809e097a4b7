import { setTimeout as sleep } from 'node:timers/promises'
import Sqlite, { type Database as SqliteFile, type Statement } from 'better-sqlite3'
import {
  CompiledQuery,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type Kysely,
  type QueryResult,
  type SelectModifierNode,
} from 'kysely'
import type { Logger } from 'pino'
import { databaseIsFull, DatabaseAway, outageLog, type OutageLog } from './outage.ts'

/**
 * Kysely on SQLite, so that the rest of the program need not know which engine it runs on: booleans, instants and JSON
 * are encoded, and decoded by the declared type of the column they come from; prepared statements are kept; a
 * transaction takes the write lock at its start, and a row lock is therefore no more than a word to leave out.
 */
export function sqliteDialect(file: string, log?: Logger): Dialect {
  return {
    createAdapter: () => new TransactionalDdlAdapter(),
    createDriver: () => new SqliteDriver(file, outageLog(log)),
    createIntrospector: (db: Kysely<unknown>) => new SqliteIntrospector(db),
    createQueryCompiler: () => new LocklessQueryCompiler(),
  }
}

class TransactionalDdlAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true
  }
}

const LOCKS = new Set([
  'ForUpdate',
  'ForNoKeyUpdate',
  'ForShare',
  'ForKeyShare',
  'NoWait',
  'SkipLocked',
])

class LocklessQueryCompiler extends SqliteQueryCompiler {
  protected override visitSelectModifier(node: SelectModifierNode): void {
    if (node.modifier !== undefined && LOCKS.has(node.modifier)) return
    super.visitSelectModifier(node)
  }
}

/** Another process may hold the write lock this long before we report it. */
const BUSY_TIMEOUT_MS = 5000
const BUSY_RETRY_MS = 10

const PRAGMAS = [
  'pragma journal_mode = WAL',
  'pragma synchronous = FULL',
  'pragma foreign_keys = ON',
  'pragma cache_size = -16000',
]

/** One connection. Kysely hands it to one query or transaction after the other. */
class SqliteDriver implements Driver {
  readonly #path: string
  readonly #outage: OutageLog
  #file: SqliteFile | undefined
  #connection: SqliteConnection | undefined

  constructor(path: string, outage: OutageLog) {
    this.#path = path
    this.#outage = outage
  }

  async init(): Promise<void> {
    // Kysely tries again after a failure.
    this.#file ??= new Sqlite(this.#path, { timeout: 0 })
    const connection = new SqliteConnection(this.#file, this.#outage)
    // Of several processes that switch a new file to WAL at once, SQLite refuses all but one, whatever its own timeout.
    for (const pragma of PRAGMAS) await connection.executeQuery(CompiledQuery.raw(pragma))
    this.#connection = connection
  }

  acquireConnection(): Promise<DatabaseConnection> {
    if (!this.#connection) return Promise.reject(new Error('the database is closed'))
    return Promise.resolve(this.#connection)
  }

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'))
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('commit'))
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    // After some errors (a full disk) SQLite has rolled back by itself, and would refuse: that error hides the real one.
    if (this.#file?.inTransaction) await connection.executeQuery(CompiledQuery.raw('rollback'))
  }

  releaseConnection(): Promise<void> {
    return Promise.resolve()
  }

  destroy(): Promise<void> {
    this.#file?.close()
    this.#connection = undefined
    return Promise.resolve()
  }
}

type Decoder = (value: unknown) => unknown

const DECODERS: Record<string, Decoder> = {
  boolean: (value) => value === 1,
  timestamp: (value) => new Date(String(value)),
  json: (value) => JSON.parse(String(value)),
}

interface Prepared {
  statement: Statement
  decoders: [string, Decoder][]
}

class SqliteConnection implements DatabaseConnection {
  readonly #file: SqliteFile
  readonly #outage: OutageLog
  readonly #prepared = new Map<string, Prepared>()
  /** Since when others have held the lock that we want, whichever of our statements asked for it. */
  #busySince: number | null = null

  constructor(file: SqliteFile, outage: OutageLog) {
    this.#file = file
    this.#outage = outage
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    for (;;) {
      try {
        return this.#execute(query)
      } catch (error) {
        if (!isBusy(error) || this.#hasWaited()) throw this.#translated(error)
      }
      await sleep(BUSY_RETRY_MS)
    }
  }

  #hasWaited(): boolean {
    this.#busySince ??= performance.now()
    return performance.now() - this.#busySince >= BUSY_TIMEOUT_MS
  }

  #translated(error: unknown): unknown {
    const code = codeOf(error)
    if (code === 'SQLITE_FULL') return databaseIsFull(error)
    if (!/^SQLITE_(BUSY|IOERR|CANTOPEN)/.test(code)) return error
    this.#outage.isAway(error)
    return new DatabaseAway(error)
  }

  #execute<R>({ sql, parameters }: CompiledQuery): QueryResult<R> {
    const { statement, decoders } = this.#prepare(sql)
    const result = run<R>(statement, parameters.map(encode), decoders)
    // A reader needs no lock, so it proves nothing.
    if (!statement.readonly) {
      this.#busySince = null
      this.#outage.isThere()
    }
    return result
  }

  // eslint-disable-next-line require-yield
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('streaming is not used on SQLite: ask for pages')
  }

  #prepare(sql: string): Prepared {
    const known = this.#prepared.get(sql)
    if (known) return known
    const statement = this.#file.prepare(sql)
    const decoders = statement.reader ? decodersOf(statement) : []
    const prepared = { statement, decoders }
    // Lists of varying length make new statements for ever: forget them all rather than grow.
    if (this.#prepared.size >= 500) this.#prepared.clear()
    this.#prepared.set(sql, prepared)
    return prepared
  }
}

function run<R>(
  statement: Statement,
  parameters: unknown[],
  decoders: [string, Decoder][],
): QueryResult<R> {
  if (!statement.reader) {
    const { changes, lastInsertRowid } = statement.run(...parameters)
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) }
  }
  const rows = statement.all(...parameters) as Record<string, unknown>[]
  for (const row of rows) decode(row, decoders)
  return { rows: rows as R[], numAffectedRows: BigInt(rows.length) }
}

function decodersOf(statement: Statement): [string, Decoder][] {
  return statement.columns().flatMap(({ name, type }): [string, Decoder][] => {
    const decoder = DECODERS[type?.toLowerCase() ?? '']
    return decoder ? [[name, decoder]] : []
  })
}

function decode(row: Record<string, unknown>, decoders: [string, Decoder][]): void {
  for (const [name, decoder] of decoders) {
    if (row[name] !== null) row[name] = decoder(row[name])
  }
}

function encode(value: unknown): unknown {
  if (typeof value === 'boolean') return value ? 1 : 0
  if (value instanceof Date) return value.toISOString()
  return value ?? null
}

function isBusy(error: unknown): boolean {
  return codeOf(error).startsWith('SQLITE_BUSY')
}

function codeOf(error: unknown): string {
  return error instanceof Sqlite.SqliteError ? error.code : ''
}
