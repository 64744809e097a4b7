import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS } from '../../../../test/harness/app.ts'
import { startDatabases, type Databases } from '../../../../test/harness/database.ts'
import { aDjangoOriginal } from '../../../../test/moving/django-original.ts'
import { importUsers } from './import-users.ts'
import { openLegacyDatabase } from './legacy-database.ts'

describe.each(BACKENDS)('accounts of the original, on %s', (backend) => {
  let databases: Databases
  beforeAll(async () => void (databases = await startDatabases(backend)))
  afterAll(() => databases.stop())

  test('come once, whoever else imports them meanwhile', async () => {
    await using original = await aDjangoOriginal(await databases.empty())
    const ids = Array.from({ length: 20 }, (_, at) => at + 1)
    for (const id of ids) await original.addUser({ id, email: `${id}@example.com` })
    const { db, settings } = await databases.migrated()
    const told: string[] = []
    const run = async () => {
      const legacy = await openLegacyDatabase(original.url)
      const report = {
        ...{ progress() {}, notice() {} },
        leftOut: (text: string) => void told.push(text),
      }
      const now = new Date('2026-06-19T12:00:00Z')
      const needs = { db: await databases.open(settings), engine: backend, legacy, report, now }
      const { added } = await importUsers({ ...needs, isDryRun: false })
      await legacy.close()
      return [...added]
    }
    const added = (await Promise.all([run(), run(), run()])).flat()
    expect(added.sort((one, other) => one - other)).toEqual(ids)
    const rows = await db.selectFrom('users').select('id').orderBy('id').execute()
    expect(rows.map(({ id }) => id)).toEqual(ids)
    for (const text of told) {
      expect(text).toMatch(/^user \d+ \(.*\): somebody took its number or address: run this again$/)
    }
  })
})
