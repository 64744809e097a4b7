import type { Logger } from 'pino'
import type { Accounts } from './accounts/accounts.ts'
import type { Settings } from './config/settings.ts'
import type { Database } from './db/database.ts'
import type { Server } from './http/server.ts'
import type { Monitoring } from './monitoring.ts'
import { systemClock, type Clock } from './ports/clock.ts'
import type { Mailer } from './ports/mailer/mailer.ts'
import type { ObjectStore } from './ports/object-store/object-store.ts'
import type { RedisLink } from './ports/redis/redis.ts'
import type { Bucket } from './storage/stores.ts'
import { servedKinds, type Kinds } from './tasks/served-kinds.ts'
import type { Worker } from './tasks/worker.ts'
import type { Intake } from './uploads/intake.ts'
import type { Staging } from './uploads/staging.ts'
import type { Library } from './videos/library.ts'
import { layFoundation } from './wiring/foundation.ts'
import type { ProcessFacts } from './wiring/process-facts.ts'
import { createServices } from './wiring/services.ts'
import { createSite } from './wiring/site.ts'
import { createSiteWorker } from './wiring/worker.ts'

/** What every command stands on: the services, wired once. */
export interface App {
  db: Database
  clock: Clock
  accounts: Accounts
  library: Library
  intake: Intake
  staging: Staging
  originals: ObjectStore
  intermediates: ObjectStore
  media: ObjectStore
  /** Null where media is sent by this server. */
  bucket: Bucket | null
  mailer: Mailer
  /** Null where there is none. */
  redis: RedisLink | null
  monitoring: Monitoring
  /** What its worker takes. */
  kinds: Kinds
  createWorker(process: ProcessFacts): Worker
  /** Routes and all; not listening yet. */
  createServer(process: ProcessFacts): Promise<Server>
  close(): Promise<void>
}

/** The composition root. `backendOrigin` is where clients reach the server; it is known by now. */
export async function createApp(needs: {
  settings: Settings
  backendOrigin: string
  log: Logger
  clock?: Clock
  /** False where a database that goes away ends all there is to do, which tells it then. Default true. */
  outlivesOutages?: boolean
}): Promise<App> {
  const foundation = await layFoundation({ clock: systemClock, outlivesOutages: true, ...needs })
  const services = createServices(foundation)
  const { db, clock, redis, doorbell, stores, mailer, monitoring } = foundation
  const { originals, intermediates, media, bucket } = stores
  const { accounts, library, intake, staging } = services
  const kinds = servedKinds(needs.settings.tasks.only)
  return {
    ...{ db, clock, accounts, library, intake, staging, originals, intermediates, media, bucket },
    ...{ mailer, redis, monitoring, kinds },
    createServer: (process) => createSite(foundation, services, process),
    createWorker: (process) => createSiteWorker(foundation, services, kinds, process),
    async close() {
      await monitoring.close()
      await doorbell.close()
      redis?.close()
      stores.close()
      await db.destroy()
    },
  }
}
