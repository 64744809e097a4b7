import { resolve } from 'node:path'
import Sqlite from 'better-sqlite3'
import pg from 'pg'
import { AppError } from '../../errors.ts'
import { LEGACY_TABLES } from './legacy-rows.ts'

export type LegacyTable = keyof typeof LEGACY_TABLES

/** The database of the original, which nothing is written to. */
export interface LegacyDatabase {
  /** By id, in pages: nothing is locked between two of them. */
  rows(table: LegacyTable): AsyncGenerator
  close(): Promise<void>
}

const ROWS_AT_ONCE = 500

/** Ids as exactly as they are stored: one that is rounded leads to the same page for ever. */
type ReadPage = (table: string, after: unknown) => Promise<{ id: unknown }[]>

/** `sqlite:` and a path, or a URL of PostgreSQL. Throws `misconfigured` with a sentence. */
export async function openLegacyDatabase(url: string): Promise<LegacyDatabase> {
  const [, scheme = 'sqlite'] = /^([a-z][\w+.-]*):/i.exec(url) ?? []
  if (!/^(sqlite|postgres|postgresql)$/.test(scheme)) {
    throw new AppError(
      'misconfigured',
      `--database-url begins with ${scheme}:, and the Django original has SQLite or PostgreSQL: write sqlite:/path/to/db.sqlite3 or postgresql://user:password@host/name.`,
    )
  }
  const { readPage, close } =
    scheme === 'sqlite'
      ? openSqlite(resolve(url.replace(/^sqlite:(\/\/)?/, '')))
      : await openPostgres(url)

  async function* rows(table: LegacyTable): AsyncGenerator {
    for (let after: unknown = 0; ;) {
      const page = await readPage(LEGACY_TABLES[table], after).catch(tellAway)
      yield* page
      const last = page.at(-1)
      if (!last) return
      after = last.id
    }
  }

  await assertTables(readPage).catch(async (error: unknown) => {
    await close()
    throw error
  })
  return { rows, close }
}

/** It could be read when it was opened. */
function tellAway(cause: unknown): never {
  throw new AppError(
    'unavailable',
    `The database of the original cannot be read any more (${(cause as Error).message}): run this again once it can. What was taken over stays.`,
    { cause },
  )
}

async function assertTables(readPage: ReadPage): Promise<void> {
  for (const table of Object.keys(LEGACY_TABLES) as LegacyTable[]) {
    try {
      await readPage(LEGACY_TABLES[table], 0)
    } catch (cause) {
      throw new AppError(
        'misconfigured',
        `The table ${LEGACY_TABLES[table]} cannot be read (${(cause as Error).message}): --database-url must lead to the database of the Django original.`,
        { cause },
      )
    }
  }
}

function openSqlite(file: string): { readPage: ReadPage; close: () => Promise<void> } {
  const database = openFile(file)
  return {
    readPage: (table, after) =>
      new Promise((done) => {
        const query = `select * from "${table}" where id > ? order by id limit ${ROWS_AT_ONCE}`
        const page = database.prepare<[unknown], LegacyRow>(query).safeIntegers().all(after)
        done(page.map(withNumbers))
      }),
    close: () => {
      database.close()
      return Promise.resolve()
    },
  }
}

type LegacyRow = Record<string, unknown> & { id: unknown }

/** What no number holds exactly stays a `bigint`. */
function withNumbers(row: LegacyRow): LegacyRow {
  for (const [name, value] of Object.entries(row)) {
    if (typeof value !== 'bigint') continue
    if (Number.isSafeInteger(Number(value))) row[name] = Number(value)
  }
  return row
}

function openFile(file: string): Sqlite.Database {
  try {
    return new Sqlite(file, { readonly: true, fileMustExist: true, timeout: 10_000 })
  } catch (cause) {
    throw new AppError(
      'misconfigured',
      `The database ${file} cannot be opened (${(cause as Error).message}): check --database-url.`,
      { cause },
    )
  }
}

async function openPostgres(
  url: string,
): Promise<{ readPage: ReadPage; close: () => Promise<void> }> {
  const client = await connect(url).catch((cause: unknown) => {
    throw new AppError(
      'misconfigured',
      `PostgreSQL does not let us in (${(cause as Error).message}): check --database-url.`,
      { cause },
    )
  })
  return {
    async readPage(table, after) {
      const query = `select * from "${table}" where id > $1 order by id limit ${ROWS_AT_ONCE}`
      return (await client.query<{ id: unknown }>(query, [after])).rows
    },
    close: () => client.end(),
  }
}

/** Throws also for what is no URL. */
async function connect(url: string): Promise<pg.Client> {
  const types = new pg.TypeOverrides()
  // Our own connections take it for a number.
  types.setTypeParser(pg.types.builtins.INT8, (text) => text)
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000, types })
  // A connection that breaks between two pages is the next page's failure.
  client.on('error', () => {})
  await client.connect()
  await client.query('set default_transaction_read_only = on')
  return client
}
