import type { Database } from '../db/database.ts'
import type { SourceRow } from '../db/tables.ts'
import { AppError } from '../errors.ts'
import { inBatches } from '../moving/batches.ts'
import type { ObjectStore } from '../ports/object-store/object-store.ts'
import { listFiles } from './named-files.ts'

interface Stores {
  db: Database
  media: ObjectStore
  originals: ObjectStore
}

const MOST_LOOKED_AT = 300
const AT_ONCE = 8
/** One or two may as well have lost their files. */
const FEWEST = 3

/**
 * Throws `conflict` if most of some videos have nothing in a store where they should: then it is rather the stores that are missing, as when a disk is
 * not mounted or the settings name another folder, and a repair would give up films that are somewhere.
 */
export async function assertMostIsThere(
  stores: Stores,
  sources: AsyncIterable<SourceRow>,
): Promise<void> {
  let [looked, missing] = [0, 0]
  for await (const batch of inBatches(sources, AT_ONCE)) {
    for (const misses of await Promise.all(batch.map((source) => missesStore(stores, source)))) {
      if (misses !== null) looked += 1
      if (misses === true) missing += 1
    }
    if (looked >= MOST_LOOKED_AT) break
  }
  if (missing < FEWEST || missing * 2 <= looked) return
  throw new AppError(
    'conflict',
    `Nothing is changed: ${missing} of ${looked} videos miss their originals or all that plays, as if a disk were not mounted or the settings named ` +
      'another place (DATA_DIR, MEDIA_ROOT, AWS_LOCATION). See `videoflix doctor`; if these files are lost for good, say ' +
      '--fix --even-if-most-is-missing.',
  )
}

/** Null for one of which nothing has to be there. */
async function missesStore(stores: Stores, source: SourceRow): Promise<boolean | null> {
  const files = await listFiles(stores.db, source)
  if (files.length === 0) return null
  const isThere = new Map<'media' | 'originals', boolean>()
  for (const { store, key } of files) {
    if (isThere.get(store) === true) continue
    isThere.set(store, (await stores[store].find(key)) !== null)
  }
  return [...isThere.values()].includes(false)
}
