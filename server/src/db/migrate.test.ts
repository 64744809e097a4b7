import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS } from '../../../test/harness/app.ts'
import { startDatabases, type Databases } from '../../../test/harness/database.ts'
import { startCli } from '../../../test/harness/process.ts'
import { temporaryFolder } from '../../../test/harness/temporary-folder.ts'
import type { DatabaseSettings } from '../config/database-settings.ts'
import type { Database } from './database.ts'
import { claim } from '../tasks/queue.ts'
import { migrate } from './migrate.ts'

function urlOf(settings: DatabaseSettings): string {
  return settings.kind === 'sqlite' ? `sqlite:${settings.file}` : settings.url
}

/** Every column with its type, and which migrations were done. */
async function schemaOf(db: Database) {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true })
  const { rows } = await sql<{ name: string }>`
    select name from kysely_migration order by name`.execute(db)
  return {
    migrations: rows,
    tables: Object.fromEntries(
      tables.map(({ name, columns }) => [
        name,
        Object.fromEntries(columns.map((column) => [column.name, column.dataType])),
      ]),
    ),
  }
}

describe.each(BACKENDS)('on %s', (backend) => {
  let databases: Databases
  beforeAll(async () => void (databases = await startDatabases(backend)))
  afterAll(() => databases.stop())

  test('five processes at once make one schema', async () => {
    await using folder = await temporaryFolder()
    const settings = await databases.empty()
    const env = { DATA_DIR: folder.path, DATABASE_URL: urlOf(settings), DEBUG: 'True' }
    const children = Array.from({ length: 5 }, () => startCli({ args: ['migrate'], env }))
    const codes = await Promise.all(children.map(async ({ exited }) => (await exited).code))
    const outputs = children.map((child) => child.output())
    expect({ codes, outputs }).toMatchObject({ codes: [0, 0, 0, 0, 0] })
    expect(outputs.filter((output) => output.includes('applied 0001-'))).toHaveLength(1)
    expect(outputs.filter((output) => output.includes('up to date'))).toHaveLength(4)

    const alone = (await databases.migrated()).db
    expect(await schemaOf(await databases.open(settings))).toEqual(await schemaOf(alone))
    expect((await schemaOf(alone)).tables).toHaveProperty('tasks.lease_token')
  })

  test('doing it again does nothing', async () => {
    const { db } = await databases.migrated()
    expect(await migrate(db, backend)).toEqual([])
  })

  test('a migration that fails leaves nothing behind', async () => {
    const db = await databases.open(await databases.empty())
    await sql`create table audit (id integer)`.execute(db)
    await expect(migrate(db, backend)).rejects.toThrow(/audit.*exists/)
    await sql`drop table audit`.execute(db)
    expect(await migrate(db, backend)).toContain('0001-first')
  })

  test('tasks from before there were lanes are claimed in those of their kind', async () => {
    const db = await databases.open(await databases.empty())
    await migrate(db, backend, '0006-direct-uploads')
    for (const kind of ['encode_part', 'package_rungs', 'send_mail']) {
      await sql`
        insert into tasks (kind, payload, subject, due_at, created_at)
        values (${kind}, '{}', 'video:1', ${'2026-01-01T00:00:00.000Z'}, ${'2026-01-01T00:00:00.000Z'})`.execute(
        db,
      )
    }
    await migrate(db, backend)
    const now = new Date('2026-01-02T00:00:00.000Z')
    const lease = { owner: 'me', now, until: now }
    for (const [lane, kind] of [
      ['media', 'encode_part'],
      ['files', 'package_rungs'],
      ['quick', 'send_mail'],
    ] as const) {
      expect(await claim(db, lane, lease)).toMatchObject({ lane, kind })
    }
  })
})
