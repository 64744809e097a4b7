import { availableParallelism } from 'node:os'
import type { Settings } from '../config/settings.ts'
import type { Database } from '../db/database.ts'
import type { SourceRow } from '../db/tables.ts'
import type { Clock } from '../ports/clock.ts'
import type { ObjectStore } from '../ports/object-store/object-store.ts'
import type { MultipartUploads } from '../ports/object-store/s3-multipart.ts'
import type { Staging } from '../uploads/staging.ts'
import type { Library } from '../videos/library.ts'
import { inBatches } from '../moving/batches.ts'
import { assertMostIsThere } from './absent-stores.ts'
import { checkSource, type CheckNeeds } from './check-source.ts'
import { findOrphans, isStillOrphan, type OrphanNeeds } from './find-orphans.ts'
import type { Finding } from './finding.ts'
import { repairSource, type Repair } from './repair.ts'

/** Whether the files are what the rows say, and nothing else lies around. All in pages: memory does not grow. */
export interface LibraryAudit {
  /** Findings about a source come together. Sources in work are left alone. */
  damaged(): AsyncIterable<{ source: SourceRow; findings: Finding[] }>
  /**
   * Objects that no row names, uploads that were given up. Only what is as old as `leastAgeMs` (an hour unless told) at
   * the time `now` (ours unless told): what is younger may be waiting for its row. Throws the signal's reason.
   */
  orphans(choice?: OrphanChoice): AsyncIterable<Finding>
  /**
   * To be asked before the first repair. Throws `unavailable` or `misconfigured` for a store that cannot be written, and
   * `conflict` where so much is missing that the store itself may be, unless that is `accepted`.
   */
  assertRepairable(accepted: boolean): Promise<void>
  repair(source: SourceRow, findings: Finding[]): Promise<Repair>
  /** Removes an orphan, unless it is none any more: an upload that goes on after days stores its file anew. */
  remove(orphan: Finding): Promise<boolean>
}

type OrphanChoice = Partial<
  Pick<OrphanNeeds, 'now' | 'leastAgeMs' | 'signal' | 'within' | 'onWanted'>
>

const HOUR = 3_600_000
const SOURCES_AT_ONCE = 100
/** A remote store takes its time for each answer; a decoder keeps a core busy. */
const CHECKED_AT_ONCE = 8
const DECODED_AT_ONCE = availableParallelism()

export function createLibraryAudit(needs: {
  db: Database
  clock: Clock
  media: ObjectStore
  originals: ObjectStore
  intermediates: ObjectStore
  /** Null where nothing comes in parts. */
  multiparts: Pick<MultipartUploads, 'listBegunBefore' | 'abort'> | null
  staging: Staging
  uploads: Settings['uploads']
  library: Library
  decode: CheckNeeds['decode']
  onSource?: (checked: number) => void
}): LibraryAudit {
  const { db, clock, media, originals, intermediates, multiparts, staging, uploads, library } =
    needs
  const atOnce = needs.decode === null ? CHECKED_AT_ONCE : DECODED_AT_ONCE
  const looking = { db, media, originals, intermediates, multiparts, staging: uploads }

  return {
    async *damaged() {
      let checked = 0
      for await (const batch of inBatches(settledSources(db), atOnce)) {
        const results = await Promise.all(
          batch.map(async (source) => ({ source, findings: await checkSource(needs, source) })),
        )
        for (const { source, findings } of results) {
          if (findings.length > 0 && (await isStillSettled(db, source))) yield { source, findings }
          needs.onSource?.((checked += 1))
        }
      }
    },

    orphans: (choice = {}) =>
      findOrphans({ ...looking, now: clock.now(), leastAgeMs: HOUR, ...choice }),

    async assertRepairable(accepted) {
      for (const store of [media, originals, intermediates]) await store.check()
      if (!accepted) await assertMostIsThere(needs, settledSources(db))
    },

    repair: (source, findings) =>
      repairSource({ db, originals, library, now: () => clock.now() }, source, findings),

    async remove(orphan) {
      const { store, key, multipartId } = orphan
      if (!(await isStillOrphan(looking, orphan))) return false
      if (store === 'staging') {
        await staging.removeAbandoned(clock.now())
      } else if (store === 'multiparts') {
        await multiparts?.abort(key, multipartId ?? '')
      } else {
        await { media, originals, intermediates }[store].delete(key)
      }
      return true
    },
  }
}

/** In pages, without those that are being processed. */
async function* settledSources(db: Database): AsyncGenerator<SourceRow> {
  for (let after = 0; ;) {
    const sources = await db
      .selectFrom('sources')
      .selectAll()
      .where('id', '>', after)
      .where('state', 'in', ['ready', 'error'])
      .orderBy('id')
      .limit(SOURCES_AT_ONCE)
      .execute()
    yield* sources
    const last = sources.at(-1)
    if (!last) return
    after = last.id
  }
}

/** It may have been replaced, processed again or deleted while it was looked at. */
async function isStillSettled(db: Database, source: SourceRow): Promise<boolean> {
  const now = await db
    .selectFrom('sources')
    .select(['state', 'updated_at'])
    .where('id', '=', source.id)
    .executeTakeFirst()
  return now?.state === source.state && now.updated_at.getTime() === source.updated_at.getTime()
}
