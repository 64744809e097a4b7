import { Migrator, type Migration } from 'kysely/migration'
import type { Database, Engine } from './database.ts'
import { first } from './migrations/0001-first.ts'
import { secondFactorAndOpenId } from './migrations/0002-second-factor-and-openid.ts'
import { usersAndAudit } from './migrations/0003-users-and-audit.ts'
import { stepsAndFragments } from './migrations/0004-steps-and-fragments.ts'
import { webhooks } from './migrations/0005-webhooks.ts'
import { directUploads } from './migrations/0006-direct-uploads.ts'

const MIGRATIONS: Record<string, (engine: Engine) => Migration> = {
  '0001-first': first,
  '0002-second-factor-and-openid': secondFactorAndOpenId,
  '0003-users-and-audit': usersAndAudit,
  '0004-steps-and-fragments': stepsAndFragments,
  '0005-webhooks': webhooks,
  '0006-direct-uploads': directUploads,
}

/** Every version of the schema, oldest first. */
export const SCHEMA_VERSIONS = Object.keys(MIGRATIONS)

/**
 * Brings the schema up to date, or up to a version of it. Several processes may do so at once: one works, the others
 * wait. Returns what was done.
 */
export async function migrate(db: Database, engine: Engine, upTo?: string): Promise<string[]> {
  const migrations = Object.fromEntries(
    Object.entries(MIGRATIONS).map(([name, make]) => [name, make(engine)]),
  )
  const migrator = new Migrator({
    db,
    provider: { getMigrations: () => Promise.resolve(migrations) },
  })
  const { error, results } = await (upTo === undefined
    ? migrator.migrateToLatest()
    : migrator.migrateTo(upTo))
  if (error) throw error as Error
  return (results ?? []).map(({ migrationName }) => migrationName)
}
