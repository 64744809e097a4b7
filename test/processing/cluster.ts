import { readSettings, type Settings } from '../../server/src/config/settings.ts'
import { openDatabase, type Database } from '../../server/src/db/database.ts'
import { SUPERUSER, type Backend } from '../harness/app.ts'
import type { Child } from '../harness/child.ts'
import { Client } from '../harness/client.ts'
import { startPostgres } from '../harness/postgres.ts'
import { startCli, startServer } from '../harness/process.ts'
import { temporaryFolder } from '../harness/temporary-folder.ts'

/** A server that does not work itself, and as many workers as a test starts: processes of their own, on one database and one folder. */
export interface Cluster extends AsyncDisposable {
  settings: Settings
  /** A connection of the test. */
  db: Database
  superuser: Client
  startWorker(): Child
}

export async function startCluster(
  backend: Backend,
  more: Record<string, string>,
): Promise<Cluster> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder())
  const postgres = backend === 'postgres' ? await startPostgres() : null
  stack.defer(async () => await postgres?.stop())
  const env = {
    DATA_DIR: folder.path,
    DEBUG: 'True',
    MIN_FREE_DISK_BYTES: '0',
    TRANSCODE_LOCALLY: 'False',
    JOB_LEASE: '20',
    JOB_SWEEP_INTERVAL: '0.2',
    DJANGO_SUPERUSER_EMAIL: SUPERUSER.email,
    DJANGO_SUPERUSER_PASSWORD: SUPERUSER.password,
    ...(postgres && { DATABASE_URL: await postgres.databaseUrl() }),
    ...more,
  }
  const server = stack.use(await startServer({ env }))
  const { settings } = readSettings({ ...env, PORT: String(server.port) }, folder.path)
  const db = await openDatabase(settings.database)
  stack.defer(() => db.destroy())
  const superuser = new Client(server.url)
  const reply = await superuser.post('/users/login/', SUPERUSER)
  if (reply.status !== 200) throw new Error(`login failed: ${await reply.text()}`)
  const rest = stack.move()
  return {
    settings,
    db,
    superuser,
    startWorker() {
      const worker = startCli({ args: ['worker'], env })
      rest.defer(() => worker.stop())
      return worker
    },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  }
}
