import { join } from 'node:path'
import {
  databaseSettings,
  type DatabaseSettings,
} from '../../server/src/config/database-settings.ts'
import { openDatabase, type Database } from '../../server/src/db/database.ts'
import { migrate } from '../../server/src/db/migrate.ts'
import type { Backend } from './app.ts'
import { startPostgres } from './postgres.ts'
import { temporaryFolder } from './temporary-folder.ts'

/** Where databases can be had. Closes all that it opened. */
export interface Databases extends AsyncDisposable {
  /** An empty one, without tables. */
  empty(): Promise<DatabaseSettings>
  /** One more way in, as another process has it. */
  open(settings: DatabaseSettings): Promise<Database>
  /** A fresh one with our tables. */
  migrated(): Promise<{ db: Database; settings: DatabaseSettings }>
  stop(): Promise<void>
}

export async function startDatabases(backend: Backend): Promise<Databases> {
  const folder = await temporaryFolder()
  const postgres = backend === 'postgres' ? await startPostgres() : null
  const opened: Database[] = []
  let files = 0

  async function empty(): Promise<DatabaseSettings> {
    if (!postgres) return { kind: 'sqlite', file: join(folder.path, `${++files}.sqlite3`) }
    return databaseSettings({ DATABASE_URL: await postgres.databaseUrl() }, folder.path)
  }

  async function open(settings: DatabaseSettings): Promise<Database> {
    const db = await openDatabase(settings)
    opened.push(db)
    return db
  }

  async function stop(): Promise<void> {
    await Promise.all(opened.map((db) => db.destroy()))
    await postgres?.stop()
    await folder.remove()
  }

  return {
    empty,
    open,
    async migrated() {
      const settings = await empty()
      const db = await open(settings)
      await migrate(db, settings.kind)
      return { db, settings }
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}
