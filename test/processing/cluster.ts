import { readSettings, type Settings } from '../../server/src/config/settings.ts'
import { openDatabase, type Database } from '../../server/src/db/database.ts'
import { mediaOf, SUPERUSER, type Backend } from '../harness/app.ts'
import type { Child } from '../harness/child.ts'
import { Client } from '../harness/client.ts'
import { startPostgres } from '../harness/postgres.ts'
import { startCli, startServer, type CliOptions } from '../harness/process.ts'
import type { S3Service } from '../harness/s3.ts'
import { sharedS3 } from '../harness/shared-s3.ts'
import { temporaryFolder } from '../harness/temporary-folder.ts'

/** A server that does not work itself, and as many workers as a test starts: processes of their own, on one database, and one folder or bucket. */
export interface Cluster extends AsyncDisposable {
  settings: Settings
  /** The same, as the environment has them. */
  env: Record<string, string>
  s3: S3Service | null
  /** A connection of the test. */
  db: Database
  superuser: Client
  /** On a machine of its own, if it is given settings of its own. */
  startWorker(given?: CliOptions): Child
}

export async function startCluster(
  backend: Backend,
  more: Record<string, string>,
): Promise<Cluster> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder())
  const postgres = backend === 'postgres' ? await startPostgres() : null
  stack.defer(async () => await postgres?.stop())
  const s3 = mediaOf(backend) === 's3' ? await sharedS3() : null
  const env = {
    DATA_DIR: folder.path,
    DEBUG: 'True',
    MIN_FREE_DISK_BYTES: '0',
    JOB_CONCURRENCY: '1',
    TRANSCODE_LOCALLY: 'False',
    JOB_LEASE: '20',
    JOB_SWEEP_INTERVAL: '0.2',
    DJANGO_SUPERUSER_EMAIL: SUPERUSER.email,
    DJANGO_SUPERUSER_PASSWORD: SUPERUSER.password,
    ...(postgres && { DATABASE_URL: await postgres.databaseUrl() }),
    ...(s3 && (await s3.env())),
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
    env: { ...env, PORT: String(server.port) },
    s3,
    db,
    superuser,
    startWorker({ args = [], env: own } = {}) {
      const worker = startCli({ args: ['worker', ...args], env: { ...env, ...own } })
      rest.defer(() => worker.stop())
      return worker
    },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  }
}
