import { sql } from 'kysely'
import { openDatabase, type Database, type Engine } from '../../db/database.ts'
import { migrate } from '../../db/migrate.ts'
import { AppError } from '../../errors.ts'

/**
 * Our tables in a database as they are. There is no list of them to be kept in step with the migrations, and what others
 * have in the same database is not ours to read or to drop.
 */
export interface TableShape {
  name: string
  columns: { name: string; isJson: boolean; isNullable: boolean }[]
}

/** What is made from the rows of other tables by itself: it goes with them, and is in no backup. */
const DERIVED = ['video_words', 'video_index']

/** In an order in which rows can be inserted: what others refer to comes first. An older schema has fewer. */
export async function readTables(db: Database, engine: Engine): Promise<TableShape[]> {
  const wanted = await storedTableNames()
  return await inOrder(db, engine, (name) => wanted.includes(name))
}

/** As `readTables`, of the present schema. Throws `misconfigured` if one is missing. */
export async function readAllTables(db: Database, engine: Engine): Promise<TableShape[]> {
  const wanted = await storedTableNames()
  const tables = await inOrder(db, engine, (name) => wanted.includes(name))
  const missing = wanted.filter((name) => !tables.some((table) => table.name === name))
  if (missing.length === 0) return tables
  throw new AppError(
    'misconfigured',
    `The database has no table ${missing.join(', ')} where ours should be: check DATABASE_URL or DB_*, and its search_path.`,
  )
}

/** Of all that are ours, in the order of `readTables`. */
export async function readTableNames(db: Database, engine: Engine): Promise<string[]> {
  const own = await ownTableNames()
  return (await inOrder(db, engine, (name) => own.has(name))).map(({ name }) => name)
}

async function inOrder(
  db: Database,
  engine: Engine,
  isWanted: (name: string) => boolean,
): Promise<TableShape[]> {
  const found = await db.introspection.getTables()
  const ownSchema = engine === 'sqlite' ? undefined : await currentSchema(db)
  const tables = found
    .filter(({ name, schema }) => isWanted(name) && schema === ownSchema)
    .map(({ name, columns }) => ({
      name,
      columns: columns.map((column) => ({
        name: column.name,
        isJson: /^jsonb?$/i.test(column.dataType),
        isNullable: column.isNullable,
      })),
    }))
  return sorted(tables, await readReferences(db, engine))
}

/** Those of ours that a backup holds. */
async function storedTableNames(): Promise<string[]> {
  return [...(await ownTableNames())].filter((name) => !DERIVED.includes(name))
}

/** Where what is named without a schema is made. */
async function currentSchema(db: Database): Promise<string | undefined> {
  const { rows } = await sql<{ name: string }>`select current_schema() as name`.execute(db)
  return rows[0]?.name
}

/** What our migrations make, tried out in memory. */
async function ownTableNames(): Promise<Set<string>> {
  const db = await openDatabase({ kind: 'sqlite', file: ':memory:' })
  try {
    await migrate(db, 'sqlite')
    // Not the tables that a full-text index keeps for itself.
    const { rows } = await sql<{ name: string }>`
      select name from pragma_table_list
      where schema = 'main' and type in ('table', 'virtual')
        and name not like 'sqlite\\_%' escape '\\' and name not like 'kysely\\_%' escape '\\'`.execute(
      db,
    )
    return new Set(rows.map(({ name }) => name))
  } finally {
    await db.destroy()
  }
}

/** The versions of the schema that were applied, oldest first; none where there is no schema. */
export async function readSchemaVersions(db: Database): Promise<string[]> {
  const known = await db.introspection.getTables({ withInternalKyselyTables: true })
  if (!known.some(({ name }) => name === 'kysely_migration')) return []
  const { rows } = await sql<{ name: string }>`
    select name from kysely_migration order by name`.execute(db)
  return rows.map(({ name }) => name)
}

interface Reference {
  from: string
  to: string
}

async function readReferences(db: Database, engine: Engine): Promise<Reference[]> {
  const query =
    engine === 'sqlite'
      ? sql<Reference>`
          select m.name as "from", f."table" as "to"
          from sqlite_master m join pragma_foreign_key_list(m.name) f where m.type = 'table'`
      : sql<Reference>`
          select conrelid::regclass::text as "from", confrelid::regclass::text as "to"
          from pg_constraint where contype = 'f'`
  return (await query.execute(db)).rows
}

function sorted(tables: TableShape[], references: Reference[]): TableShape[] {
  const ordered = new Map<string, TableShape>()
  const byName = new Map(tables.map((table) => [table.name, table]))
  const place = (table: TableShape, above: string[]): void => {
    if (ordered.has(table.name) || above.includes(table.name)) return
    for (const { from, to } of references) {
      const needed = from === table.name ? byName.get(to) : undefined
      if (needed) place(needed, [...above, table.name])
    }
    ordered.set(table.name, table)
  }
  for (const table of tables.toSorted((one, other) => (one.name < other.name ? -1 : 1))) {
    place(table, [])
  }
  return [...ordered.values()]
}
