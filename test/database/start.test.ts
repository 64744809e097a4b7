import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readSettings, type DatabaseSettings } from '../../server/src/config/settings.ts'
import { openDatabase, type Database } from '../../server/src/db/database.ts'
import { SCHEMA_VERSIONS } from '../../server/src/db/migrate.ts'
import { BACKENDS, SUPERUSER } from '../harness/app.ts'
import { Client } from '../harness/client.ts'
import type { Child } from '../harness/child.ts'
import { freePort } from '../harness/free-port.ts'
import { startPostgres, type Postgres } from '../harness/postgres.ts'
import { startCli, startServer } from '../harness/process.ts'
import { temporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts'

const SOON = { timeout: 60_000, interval: 100 }

describe.each(BACKENDS)('starting, on %s', (backend) => {
  let postgres: Postgres | null = null
  let folder: TemporaryFolder
  beforeAll(async () => {
    folder = await temporaryFolder()
    postgres = backend === 'postgres' ? await startPostgres() : null
  })
  afterAll(async () => {
    await postgres?.stop()
    await folder.remove()
  })

  let sites = 0
  /** Settings of an installation that nobody has started yet. */
  async function aSite() {
    const dataDir = `${folder.path}/${(sites += 1)}`
    const env = {
      DATA_DIR: dataDir,
      DEBUG: 'True',
      MIN_FREE_DISK_BYTES: '0',
      DJANGO_SUPERUSER_EMAIL: SUPERUSER.email,
      DJANGO_SUPERUSER_PASSWORD: SUPERUSER.password,
      ...(postgres && { DATABASE_URL: await postgres.databaseUrl() }),
    }
    return { env, database: readSettings(env, dataDir).settings.database }
  }

  async function look<T>(database: DatabaseSettings, ask: (db: Database) => Promise<T>) {
    await using db = await openDatabase(database)
    return await ask(db)
  }

  const versionsOf = (database: DatabaseSettings): Promise<string[]> =>
    look(database, async (db) => {
      const { rows } = await sql<{ name: string }>`
        select name from kysely_migration order by name`.execute(db)
      return rows.map(({ name }) => name)
    })

  test('two servers and three workers at once make one schema and one superuser', async () => {
    const { env, database } = await aSite()
    const ports = [await freePort(), await freePort()]
    const serving = ports.map((port) => startServer({ env: { ...env, PORT: String(port) } }))
    const workers = [1, 2, 3].map(() => startCli({ args: ['worker'], env }))
    const isWaiting = (worker: Child): boolean => worker.output().includes('waiting for tasks')
    try {
      const servers = await Promise.all(serving)
      await expect.poll(() => workers.filter(isWaiting).length, SOON).toBe(3)
      expect(await versionsOf(database)).toEqual(SCHEMA_VERSIONS)
      const users = await look(database, (db) =>
        db.selectFrom('users').select(['email', 'is_superuser']).execute(),
      )
      expect(users).toEqual([{ email: SUPERUSER.email, is_superuser: true }])
      const told = servers.filter((server) =>
        server.output().includes('A first superuser was made'),
      )
      expect(told).toHaveLength(1)
      for (const { url } of servers) {
        expect((await new Client(url).post('/users/login/', SUPERUSER)).status).toBe(200)
      }
    } finally {
      const started = await Promise.allSettled(serving)
      const servers = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
      await Promise.all([...servers, ...workers].map((child) => child.stop()))
    }
  })

  test.runIf(backend === 'postgres')(
    'a start that is killed in the middle of its migrations is made good by the next one',
    async () => {
      const { env, database } = await aSite()
      await using db = await openDatabase(database)
      // Another transaction has a table of this name, which nobody sees yet: it stops them half-way.
      const inTheWay = await db.startTransaction().execute()
      await sql`create table webhook_deliveries (id int)`.execute(inTheWay)
      const first = startCli({ args: ['migrate'], env })
      const waiting = sql<{ pid: number }>`select pid from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`
      await expect.poll(async () => (await waiting.execute(db)).rows.length, SOON).toBe(1)
      const second = startCli({ args: ['migrate'], env })
      await expect.poll(async () => (await waiting.execute(db)).rows.length, SOON).toBe(2)
      first.kill('SIGKILL')
      await first.exited
      await inTheWay.rollback().execute()
      expect(await second.exited).toMatchObject({ code: 0 })
      expect(await versionsOf(database)).toEqual(SCHEMA_VERSIONS)
    },
  )

  test('an older program refuses a newer schema, and one that runs already goes on', async () => {
    const { env, database } = await aSite()
    await using server = await startServer({ env })
    await look(database, async (db) => {
      await sql`alter table videos add column subtitle text`.execute(db)
      await sql`insert into kysely_migration (name, timestamp)
        values ('9999-later', '2099-01-01T00:00:00.000Z')`.execute(db)
    })
    for (const args of [['serve'], ['worker'], ['migrate']]) {
      const child = startCli({ args, env: { ...env, PORT: String(await freePort()) } })
      expect(await child.exited).toMatchObject({ code: 1 })
      expect(child.output()).toContain(
        'The database belongs to a newer Videoflix than this one (its schema has 9999-later): start the newer one, or restore a backup that was made before.',
      )
    }
    const client = new Client(server.url)
    expect((await client.post('/users/login/', SUPERUSER)).status).toBe(200)
    expect((await client.get('/content/')).status).toBe(200)
  })
})
