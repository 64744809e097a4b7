import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS } from '../../../../test/harness/app.ts'
import { startDatabases, type Databases } from '../../../../test/harness/database.ts'
import { startPostgres } from '../../../../test/harness/postgres.ts'
import { has } from '../../../../test/harness/programs.ts'
import { aDjangoOriginal } from '../../../../test/moving/django-original.ts'
import { databaseSettings } from '../../config/database-settings.ts'
import { openLegacyDatabase } from './legacy-database.ts'
import { legacyUser } from './legacy-rows.ts'

describe.each(BACKENDS)('the database of the original, on %s', (backend) => {
  let databases: Databases
  beforeAll(async () => void (databases = await startDatabases(backend)))
  afterAll(() => databases.stop())

  test('ids that no number holds are read once, and as they are', async () => {
    await using original = await aDjangoOriginal(await databases.empty())
    const ids = [7, 2 ** 53 - 1, 2n ** 53n + 1n, 2n ** 53n + 3n, 2n ** 63n - 1n]
    for (const id of ids) await original.addUser({ id, email: `${id}@example.com` })
    const legacy = await openLegacyDatabase(original.url)
    const found: [string, boolean][] = []
    for await (const row of legacy.rows('users')) {
      const told = String((row as { id: unknown }).id)
      found.push([told, legacyUser.safeParse(row).success])
      if (found.length > ids.length) break
    }
    await legacy.close()
    expect(found).toEqual(ids.map((id) => [String(id), typeof id === 'number']))
  })
})

test.skipIf(!has('postgres'))('one that goes away is told in a sentence', async () => {
  await using postgres = await startPostgres()
  const settings = databaseSettings({ DATABASE_URL: await postgres.databaseUrl() }, '')
  await using original = await aDjangoOriginal(settings)
  const legacy = await openLegacyDatabase(original.url)
  await postgres.kill()
  await expect(legacy.rows('users').next()).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringMatching(
      /^The database of the original cannot be read any more \(.+\): run/,
    ),
  })
  await legacy.close()
})

test('what is no URL is told', async () => {
  await expect(openLegacyDatabase('postgres://a:b@:::bad/x')).rejects.toMatchObject({
    code: 'misconfigured',
    message: 'PostgreSQL does not let us in (Invalid URL): check --database-url.',
  })
})
