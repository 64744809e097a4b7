import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Database } from '../db/database.ts'
import { inBatches } from '../moving/batches.ts'
import type { ObjectInfo, ObjectStore } from '../ports/object-store/object-store.ts'
import type { MultipartUploads } from '../ports/object-store/s3-multipart.ts'
import type { Finding } from './finding.ts'

export interface OrphanNeeds {
  db: Database
  media: ObjectStore
  originals: ObjectStore
  intermediates: ObjectStore
  staging: { dir: string; ttlMs: number }
  /** Of originals, in parts; null where the store has no such thing. */
  multiparts: Pick<MultipartUploads, 'listBegunBefore'> | null
  now: Date
  /** What is younger may be waiting for its row. */
  leastAgeMs: number
}

const KEYS_AT_ONCE = 200

/**
 * What lies in the stores and is named by no row, and of no source that is in work. In each batch the store is read
 * before the rows: what is stored after the listing is not in it, and what was there is judged by now.
 */
export async function* findOrphans(needs: OrphanNeeds): AsyncGenerator<Finding> {
  yield* orphansOf(needs, 'media', judgeMedia)
  yield* orphansOf(needs, 'originals', judgeOriginals)
  yield* orphansOf(needs, 'intermediates', judgeIntermediates)
  yield* abandonedUploads(needs)
  yield* abandonedParts(needs)
}

type Judged = 'wanted' | 'orphan' | 'foreign'
type Judge = (needs: OrphanNeeds, keys: string[]) => Promise<(key: string) => Judged>

async function* orphansOf(
  needs: OrphanNeeds,
  store: 'media' | 'originals' | 'intermediates',
  judge: Judge,
): AsyncGenerator<Finding> {
  for await (const batch of inBatches(needs[store].list(''), KEYS_AT_ONCE)) {
    const old = batch.filter((object) => ageMs(needs, object) >= needs.leastAgeMs)
    if (old.length === 0) continue
    const judgement = await judge(
      needs,
      old.map(({ key }) => key),
    )
    for (const { key, sizeBytes } of old) {
      const problem = judgement(key)
      if (problem === 'wanted') continue
      yield {
        problem,
        store,
        key,
        videoId: videoOf(key),
        sourceId: null,
        detail:
          problem === 'orphan'
            ? `${sizeBytes} bytes that no row names`
            : 'not a name of ours: left alone',
      }
    }
  }
}

function ageMs({ now }: OrphanNeeds, { modifiedAt }: ObjectInfo): number {
  return now.getTime() - modifiedAt.getTime()
}

function videoOf(key: string): number | null {
  const found = /^(?:videos\/)?(\d{1,15})\//.exec(key)?.[1]
  return found === undefined ? null : Number(found)
}

/** `videos/<video>/<source>-<step>-<claim>/…`, `videos/<video>/subtitles/…`. Folders of media may hold other things too. */
const OF_SOURCE = /^videos\/\d{1,15}\/(\d{1,15})-\d+-\d+\/[^/]+$/
const OF_VIDEO = /^videos\/\d{1,15}\/subtitles\/[^/]+$/

async function judgeMedia({ db }: OrphanNeeds, keys: string[]): Promise<(key: string) => Judged> {
  const ids = [...new Set(keys.flatMap((key) => sourceOf(key) ?? []))]
  const unfinished = await unfinishedAmong(db, ids)
  const named = await namedAmong(db, keys, ids)
  return (key) => {
    if (named.has(key)) return 'wanted'
    const sourceId = sourceOf(key)
    if (sourceId !== null) return unfinished.has(sourceId) ? 'wanted' : 'orphan'
    return OF_VIDEO.test(key) ? 'orphan' : 'foreign'
  }
}

function sourceOf(key: string): number | null {
  const found = OF_SOURCE.exec(key)?.[1]
  return found === undefined ? null : Number(found)
}

async function unfinishedAmong(db: Database, sourceIds: number[]): Promise<Set<number>> {
  const rows = await db
    .selectFrom('sources')
    .select('id')
    .where('id', 'in', [-1, ...sourceIds])
    .where('state', 'in', ['pending', 'processing'])
    .execute()
  return new Set(rows.map(({ id }) => id))
}

async function namedAmong(
  db: Database,
  keys: string[],
  sourceIds: number[],
): Promise<Set<string | null>> {
  const named = new Set<string | null>()
  for (const table of ['renditions', 'audio_tracks', 'subtitles'] as const) {
    const rows = await db
      .selectFrom(table)
      .select('object_key')
      .where('object_key', 'in', keys)
      .execute()
    for (const row of rows) named.add(row.object_key)
  }
  const stills = await db
    .selectFrom('sources')
    .select(['poster_key', 'storyboard'])
    .where((eb) => eb.or([eb('id', 'in', [-1, ...sourceIds]), eb('poster_key', 'in', keys)]))
    .execute()
  for (const { poster_key: poster, storyboard } of stills) {
    for (const key of [poster, ...(storyboard?.sheets ?? [])]) named.add(key)
  }
  return named
}

/** An original is called as its upload: 128 bits in base64url. */
const OF_UPLOAD = /^[A-Za-z0-9_-]{22}$/

async function judgeOriginals(
  { db, staging }: OrphanNeeds,
  keys: string[],
): Promise<(key: string) => Judged> {
  const staged = new Set(await namesIn(staging.dir))
  const rows = await db
    .selectFrom('sources')
    .select('object_key')
    .where('object_key', 'in', keys)
    .execute()
  const direct = await db
    .selectFrom('direct_uploads')
    .select('id')
    .where('id', 'in', keys)
    .execute()
  const named = new Set([...rows.map((row) => row.object_key), ...direct.map(({ id }) => id)])
  return (key) => {
    if (named.has(key) || staged.has(key)) return 'wanted'
    return OF_UPLOAD.test(key) ? 'orphan' : 'foreign'
  }
}

/** `<video>/<source>/<step>-<claim>/…` */
const OF_STEP = /^\d{1,15}\/(\d{1,15})\/\d+-\d+\/[^/]+$/

async function judgeIntermediates(
  { db }: OrphanNeeds,
  keys: string[],
): Promise<(key: string) => Judged> {
  const sourceOfKey = (key: string): number => Number(OF_STEP.exec(key)?.[1] ?? -1)
  const unfinished = await unfinishedAmong(db, [...new Set(keys.map(sourceOfKey))])
  return (key) => {
    if (unfinished.has(sourceOfKey(key))) return 'wanted'
    return OF_STEP.test(key) ? 'orphan' : 'foreign'
  }
}

async function* abandonedUploads({ staging, now }: OrphanNeeds): AsyncGenerator<Finding> {
  for (const name of await namesIn(staging.dir)) {
    const found = await stat(join(staging.dir, name)).catch(() => null)
    if (!found || now.getTime() - found.mtimeMs <= staging.ttlMs) continue
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

const LONGEST_UPLOAD_MS = 48 * 3_600_000

/** Whose row is there, is the business of the uploads' own sweep. */
async function* abandonedParts({
  db,
  multiparts,
  staging,
  now,
}: OrphanNeeds): AsyncGenerator<Finding> {
  if (multiparts === null) return
  const before = new Date(now.getTime() - Math.max(LONGEST_UPLOAD_MS, staging.ttlMs))
  for await (const { key, id } of multiparts.listBegunBefore(before)) {
    const row = await db
      .selectFrom('direct_uploads')
      .select('id')
      .where('store_id', '=', id)
      .executeTakeFirst()
    if (row) continue
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

async function namesIn(dir: string): Promise<string[]> {
  return await readdir(dir).catch(() => [])
}
