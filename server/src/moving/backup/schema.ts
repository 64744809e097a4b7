import { sql } from 'kysely'
import { openDatabase, type Database, type Engine } from '../../db/database.ts'
import { migrate } from '../../db/migrate.ts'

/**
 * Our tables in a database as they are. There is no list of them to be kept in step with the migrations, and what others
 * have in the same database is not ours to read or to drop.
 */
export interface TableShape {
  name: string
  columns: { name: string; isJson: boolean; isNullable: boolean }[]
}

/** In an order in which rows can be inserted: what others refer to comes first. */
export async function readTables(db: Database, engine: Engine): Promise<TableShape[]> {
  const found = await db.introspection.getTables()
  const own = await ownTableNames()
  const tables = found
    .filter(({ name, schema }) => own.has(name) && (engine === 'sqlite' || schema === 'public'))
    .map(({ name, columns }) => ({
      name,
      columns: columns.map((column) => ({
        name: column.name,
        isJson: /^jsonb?$/i.test(column.dataType),
        isNullable: column.isNullable,
      })),
    }))
  return inOrder(tables, await readReferences(db, engine))
}

/** What our migrations make, tried out in memory. */
async function ownTableNames(): Promise<Set<string>> {
  const db = await openDatabase({ kind: 'sqlite', file: ':memory:' })
  try {
    await migrate(db, 'sqlite')
    return new Set((await db.introspection.getTables()).map(({ name }) => name))
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

function inOrder(tables: TableShape[], references: Reference[]): TableShape[] {
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
