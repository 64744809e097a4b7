import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Database } from '../db/database.ts'
import { inBatches } from '../moving/batches.ts'
import {
  LONGEST_PUT_MS,
  type ObjectInfo,
  type ObjectStore,
} from '../ports/object-store/object-store.ts'
import type { MultipartUploads } from '../ports/object-store/s3-multipart.ts'
import { namedAmong, unfinishedAmong } from '../videos/named-keys.ts'
import {
  isOriginalKey,
  isSubtitlesKey,
  isTailKey,
  sourceOfIntermediate,
  sourceOfMedia,
  videoOfKey,
} from '../videos/object-keys.ts'
import { isAbandoned } from '../uploads/staging.ts'
import type { AuditedStore, Finding } from './finding.ts'

/** Where orphans may be, and the rows that say which are none. */
export interface Stores {
  db: Database
  media: ObjectStore
  originals: ObjectStore
  intermediates: ObjectStore
  staging: { dir: string; ttlMs: number }
  /** Of originals, in parts; null where the store has no such thing. */
  multiparts: Pick<MultipartUploads, 'listBegunBefore'> | null
}

export interface OrphanNeeds extends Stores {
  now: Date
  /** What is younger may be waiting for its row. */
  leastAgeMs: number
  signal?: AbortSignal | undefined
  /** All, unless told. */
  within?: AuditedStore[] | undefined
  /** Hears of those that rows name, by the number. */
  onWanted?: ((count: number) => void) | undefined
}

const KEYS_AT_ONCE = 200

/**
 * What lies in the stores and is named by no row, and of no source that is in work. In each batch the store is read
 * before the rows: what is stored after the listing is not in it, and what was there is judged by now.
 */
export async function* findOrphans(needs: OrphanNeeds): AsyncGenerator<Finding> {
  for (const store of needs.within ?? ALL_STORES) yield* SEARCHES[store](needs)
}

type Judged = 'wanted' | 'orphan' | 'foreign'
type Judge = (needs: Stores, keys: string[]) => Promise<(key: string) => Judged>

async function* orphansOf(needs: OrphanNeeds, store: keyof typeof JUDGES): AsyncGenerator<Finding> {
  for await (const batch of inBatches(needs[store].list(''), KEYS_AT_ONCE)) {
    needs.signal?.throwIfAborted()
    const old = batch.filter((object) => ageMs(needs, object) >= needs.leastAgeMs)
    if (old.length === 0) continue
    const judgement = await JUDGES[store](
      needs,
      old.map(({ key }) => key),
    )
    needs.onWanted?.(old.filter(({ key }) => judgement(key) === 'wanted').length)
    for (const { key, sizeBytes, modifiedAt } of old) {
      const problem = judgement(key)
      if (problem === 'wanted') continue
      yield {
        problem,
        store,
        key,
        videoId: videoOfKey(key),
        sourceId: null,
        modifiedAt,
        detail:
          problem === 'orphan'
            ? `${sizeBytes} bytes that no row names`
            : 'not a name of ours: left alone',
      }
    }
  }
}

/** Whether the same object is still there, and still nobody's: it may have been stored anew since it was found. */
export async function isStillOrphan(stores: Stores, orphan: Finding): Promise<boolean> {
  const { store, key, modifiedAt } = orphan
  if (store === 'staging' || store === 'multiparts') return true
  const found = await stores[store].find(key)
  if (found?.modifiedAt.getTime() !== modifiedAt?.getTime()) return false
  return (await JUDGES[store](stores, [key]))(key) === 'orphan'
}

function ageMs({ now }: OrphanNeeds, { modifiedAt }: ObjectInfo): number {
  return now.getTime() - modifiedAt.getTime()
}

async function judgeMedia({ db }: Stores, keys: string[]): Promise<(key: string) => Judged> {
  const ids = [...new Set(keys.flatMap((key) => sourceOfMedia(key) ?? []))]
  const unfinished = await unfinishedAmong(db, ids)
  const named = await namedAmong(db, keys, ids)
  return (key) => {
    if (named.has(key)) return 'wanted'
    const sourceId = sourceOfMedia(key)
    if (sourceId !== null) return unfinished.has(sourceId) ? 'wanted' : 'orphan'
    return isSubtitlesKey(key) ? 'orphan' : 'foreign'
  }
}

/** Of those that go on in the bucket. */
const UPLOADS = ['direct_uploads', 'bucket_uploads'] as const

async function judgeOriginals(
  { db, staging }: Stores,
  keys: string[],
): Promise<(key: string) => Judged> {
  // Uploads first: one that becomes a video meanwhile is a source before it is no upload any more.
  const named = new Set(await namesIn(staging.dir))
  for (const table of UPLOADS) {
    const rows = await db.selectFrom(table).select('id').where('id', 'in', keys).execute()
    for (const row of rows) named.add(row.id)
  }
  const sources = await db
    .selectFrom('sources')
    .select('object_key')
    .where('object_key', 'in', keys)
    .execute()
  for (const row of sources) named.add(row.object_key)
  return (key) => {
    if (named.has(key)) return 'wanted'
    return isOriginalKey(key) ? 'orphan' : 'foreign'
  }
}

async function judgeIntermediates(
  { db }: Stores,
  keys: string[],
): Promise<(key: string) => Judged> {
  const ids = [...new Set(keys.flatMap((key) => sourceOfIntermediate(key) ?? []))]
  const unfinished = await unfinishedAmong(db, ids)
  const tails = await db
    .selectFrom('bucket_uploads')
    .select('tail_key')
    .where('tail_key', 'in', keys)
    .execute()
  const named = new Set(tails.map((row) => row.tail_key))
  return (key) => {
    if (named.has(key)) return 'wanted'
    const sourceId = sourceOfIntermediate(key)
    if (sourceId !== null) return unfinished.has(sourceId) ? 'wanted' : 'orphan'
    return isTailKey(key) ? 'orphan' : 'foreign'
  }
}

const JUDGES = {
  media: judgeMedia,
  originals: judgeOriginals,
  intermediates: judgeIntermediates,
} satisfies Record<string, Judge>

const SEARCHES: Record<AuditedStore, (needs: OrphanNeeds) => AsyncGenerator<Finding>> = {
  media: (needs) => orphansOf(needs, 'media'),
  originals: (needs) => orphansOf(needs, 'originals'),
  intermediates: (needs) => orphansOf(needs, 'intermediates'),
  staging: abandonedUploads,
  multiparts: abandonedParts,
}
const ALL_STORES = Object.keys(SEARCHES) as AuditedStore[]

async function* abandonedUploads({ staging, now }: OrphanNeeds): AsyncGenerator<Finding> {
  for (const name of await namesIn(staging.dir)) {
    if (!(await isAbandoned(join(staging.dir, name), now, staging.ttlMs))) continue
    yield {
      problem: 'orphan',
      store: 'staging',
      key: name,
      videoId: null,
      sourceId: null,
      detail: 'an upload that did not go on for UPLOAD_TTL',
    }
  }
}

/** Whose row is there, is the business of the uploads' own sweep. */
async function* abandonedParts({
  db,
  multiparts,
  staging,
  now,
}: OrphanNeeds): AsyncGenerator<Finding> {
  if (multiparts === null) return
  const before = new Date(now.getTime() - Math.max(LONGEST_PUT_MS, staging.ttlMs))
  for await (const { key, id } of multiparts.listBegunBefore(before)) {
    if (await isUploadInParts(db, id)) continue
    yield {
      problem: 'orphan',
      store: 'multiparts',
      key,
      videoId: null,
      sourceId: null,
      multipartId: id,
      detail: 'an upload in parts that nobody goes on with',
    }
  }
}

async function isUploadInParts(db: Database, storeId: string): Promise<boolean> {
  for (const table of UPLOADS) {
    const row = await db
      .selectFrom(table)
      .select('id')
      .where('store_id', '=', storeId)
      .executeTakeFirst()
    if (row) return true
  }
  return false
}

async function namesIn(dir: string): Promise<string[]> {
  return await readdir(dir).catch(() => [])
}
