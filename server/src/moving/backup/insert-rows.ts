import { sql } from 'kysely'
import type { Transacting } from '../../db/database.ts'
import { asJson } from '../../db/tables.ts'
import type { TableShape } from './schema.ts'

/** Rows as `readRows` gave them and JSON kept them. Both engines read an instant from its text. */
export async function insertRows(
  trx: Transacting,
  { name, columns }: TableShape,
  rows: Record<string, unknown>[],
): Promise<void> {
  const given = Object.keys(rows[0] ?? {})
  const known = columns.filter((column) => given.includes(column.name))
  const values = rows.map((row) => {
    const cells = known.map(({ name: column, isJson, isNullable }) => {
      const value = row[column]
      const isText = isJson && (value !== null || !isNullable)
      return isText ? asJson(value) : value
    })
    return sql`(${sql.join(cells)})`
  })
  const into = sql.join(known.map((column) => sql.ref(column.name)))
  await sql`insert into ${sql.table(name)} (${into}) values ${sql.join(values)}`.execute(trx)
}
