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

/**
 * Kysely on SQLite, so that the rest of the program need not know which engine it runs on: booleans, instants and JSON
 * are encoded, and decoded by the declared type of the column they come from; prepared statements are kept; a
 * transaction takes the write lock at its start, and a row lock is therefore no more than a word to leave out.
 */
export function sqliteDialect(file: string): Dialect {
  return {
    createAdapter: () => new TransactionalDdlAdapter(),
    createDriver: () => new SqliteDriver(file),
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

/** One connection. Kysely hands it to one query or transaction after the other. */
class SqliteDriver implements Driver {
  readonly #path: string
  #file: SqliteFile | undefined
  #connection: SqliteConnection | undefined

  constructor(path: string) {
    this.#path = path
  }

  init(): Promise<void> {
    const file = openFile(this.#path)
    this.#file = file
    this.#connection = new SqliteConnection(file)
    return Promise.resolve()
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

function openFile(path: string): SqliteFile {
  const file = new Sqlite(path, { timeout: BUSY_TIMEOUT_MS })
  file.pragma('journal_mode = WAL')
  file.pragma('synchronous = FULL')
  file.pragma('foreign_keys = ON')
  file.pragma('cache_size = -16000')
  return file
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
  readonly #prepared = new Map<string, Prepared>()

  constructor(file: SqliteFile) {
    this.#file = file
  }

  // The promise is what Kysely asks for; the work is done at once, so errors must become rejections.
  // oxlint-disable-next-line require-await
  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const { statement, decoders } = this.#prepare(query.sql)
    const parameters = query.parameters.map(encode)
    if (!statement.reader) {
      const { changes, lastInsertRowid } = statement.run(...parameters)
      return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) }
    }
    const rows = statement.all(...parameters) as Record<string, unknown>[]
    for (const row of rows) decode(row, decoders)
    return { rows: rows as R[], numAffectedRows: BigInt(rows.length) }
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
