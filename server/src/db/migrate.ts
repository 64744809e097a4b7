import { sql } from 'kysely'
import { Migrator, type Migration } from 'kysely/migration'
import { AppError } from '../errors.ts'
import { transact, type Database, type Engine, type Transacting } from './database.ts'
import { first } from './migrations/0001-first.ts'
import { secondFactorAndOpenId } from './migrations/0002-second-factor-and-openid.ts'
import { usersAndAudit } from './migrations/0003-users-and-audit.ts'
import { stepsAndFragments } from './migrations/0004-steps-and-fragments.ts'
import { webhooks } from './migrations/0005-webhooks.ts'
import { directUploads } from './migrations/0006-direct-uploads.ts'
import { singleTasks } from './migrations/0007-single-tasks.ts'
import { wordsOfVideos } from './migrations/0008-words-of-videos.ts'
import { lanesOfTasks } from './migrations/0009-lanes-of-tasks.ts'
import { uploadsInBuckets } from './migrations/0010-uploads-in-buckets.ts'
import { newestWithWords } from './migrations/0011-newest-with-words.ts'
import { imports } from './migrations/0012-imports.ts'
import { finishedUploads } from './migrations/0013-finished-uploads.ts'
import { wordsInOrder } from './migrations/0014-words-in-order.ts'
import { searchAtOnce } from './migrations/0015-search-at-once.ts'

const MIGRATIONS: Record<string, (engine: Engine) => Migration> = {
  '0001-first': first,
  '0002-second-factor-and-openid': secondFactorAndOpenId,
  '0003-users-and-audit': usersAndAudit,
  '0004-steps-and-fragments': stepsAndFragments,
  '0005-webhooks': webhooks,
  '0006-direct-uploads': directUploads,
  '0007-single-tasks': singleTasks,
  '0008-words-of-videos': wordsOfVideos,
  '0009-lanes-of-tasks': lanesOfTasks,
  '0010-uploads-in-buckets': uploadsInBuckets,
  '0011-newest-with-words': newestWithWords,
  '0012-imports': imports,
  '0013-finished-uploads': finishedUploads,
  '0014-words-in-order': wordsInOrder,
  '0015-search-at-once': searchAtOnce,
}

/** Every version of the schema, oldest first. */
export const SCHEMA_VERSIONS = Object.keys(MIGRATIONS)

/**
 * Brings the schema up to date, or up to a version of it, in one transaction: a process that ends in the middle leaves
 * nothing. Several processes may do so at once: one works, the others wait. Returns what was done. Throws `misconfigured`
 * when a newer program has been here.
 */
export async function migrate(db: Database, engine: Engine, upTo?: string): Promise<string[]> {
  return await transact(db, async (trx) => {
    await lockOutOthers(trx, engine)
    await refuseNewerSchema(trx)
    const migrator = new Migrator({
      db: trx,
      provider: { getMigrations: () => Promise.resolve(migrationsFor(engine)) },
    })
    const { error, results } = await (upTo === undefined
      ? migrator.migrateToLatest()
      : migrator.migrateTo(upTo))
    if (error) throw error as Error
    return (results ?? []).map(({ migrationName }) => migrationName)
  })
}

function migrationsFor(engine: Engine): Record<string, Migration> {
  return Object.fromEntries(Object.entries(MIGRATIONS).map(([name, make]) => [name, make(engine)]))
}

/** Kysely's own number, under which versions of this program lock that let it do so. */
const LOCK_ID = 3853314791062309107n

/** On SQLite every transaction does. Unlike a lock of the session this one passes a pooler such as PgBouncer. */
async function lockOutOthers(trx: Transacting, engine: Engine): Promise<void> {
  if (engine === 'postgres') {
    await sql`select pg_advisory_xact_lock(${sql.lit(LOCK_ID)})`.execute(trx)
  }
}

async function refuseNewerSchema(trx: Transacting): Promise<void> {
  const tables = await trx.introspection.getTables({ withInternalKyselyTables: true })
  if (!tables.some(({ name }) => name === 'kysely_migration')) return
  const { rows } = await sql<{ name: string }>`
    select name from kysely_migration order by name`.execute(trx)
  const unknown = rows.find(({ name }) => !SCHEMA_VERSIONS.includes(name))
  if (unknown === undefined) return
  throw new AppError(
    'misconfigured',
    `The database belongs to a newer Videoflix than this one (its schema has ${unknown.name}): start the newer one, or restore a backup that was made before.`,
  )
}
