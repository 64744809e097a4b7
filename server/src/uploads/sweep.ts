import type { Logger } from 'pino'
import type { Database } from '../db/database.ts'
import type { Clock } from '../ports/clock.ts'
import type { ObjectStore } from '../ports/object-store/object-store.ts'
import type { DirectUploads } from './direct-uploads.ts'
import type { Staging } from './staging.ts'
import type { TusUploads } from './tus.ts'

const INTERVAL_MS = 60_000

/** Finishes uploads that a crash left whole, and removes what was abandoned. Call `stop` before closing the database. */
export function startUploadSweep(needs: {
  db: Database
  clock: Clock
  log: Logger
  staging: Staging
  originals: ObjectStore
  uploads: TusUploads
  /** Null where nothing goes straight to a bucket. */
  directUploads: DirectUploads | null
  ttlMs: number
}): { stop(): Promise<void> } {
  const { clock, log, staging, uploads, directUploads } = needs
  let running = Promise.resolve()

  function sweep(): void {
    running = running
      .then(() => uploads.finishWhole())
      .then(() => staging.removeAbandoned(clock.now()))
      .then(() => directUploads?.removeAbandoned(clock.now()))
      .then(() => removeOrphanedOriginals(needs))
      .catch((error: unknown) => log.error({ err: error }, 'could not sweep the uploads'))
  }

  const timer = setInterval(sweep, INTERVAL_MS)
  sweep()
  return {
    stop: () => {
      clearInterval(timer)
      return running
    },
  }
}

/** Stored, but the program ended before a row named them, and their upload is long gone. */
async function removeOrphanedOriginals(needs: {
  db: Database
  clock: Clock
  originals: ObjectStore
  ttlMs: number
}): Promise<void> {
  const { db, clock, originals, ttlMs } = needs
  for await (const { key, modifiedAt } of originals.list('')) {
    if (clock.now().getTime() - modifiedAt.getTime() <= 2 * ttlMs) continue
    const source = await db
      .selectFrom('sources')
      .select('id')
      .where('object_key', '=', key)
      .executeTakeFirst()
    if (!source) await originals.delete(key)
  }
}
