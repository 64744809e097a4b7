import type { Database } from '../db/database.ts'
import type { SourceRow } from '../db/tables.ts'
import { AppError } from '../errors.ts'
import type { ByteSpan, FragmentIndex, TrackFragments } from '../media/mp4/fragment-index.ts'
import type { ObjectInfo, ObjectStore } from '../ports/object-store/object-store.ts'
import type { DecodeFilm } from './decode-film.ts'
import type { Finding, Problem } from './finding.ts'
import { listFiles } from './named-files.ts'
import { isOriginalBack } from './original-back.ts'

export interface CheckNeeds {
  db: Database
  media: ObjectStore
  originals: ObjectStore
  /** Null where it is not asked whether films decode. */
  decode: DecodeFilm | null
}

/** Everything that the rows of a source name: whether it is there, as long as it should be, and fits its index. */
export async function checkSource(needs: CheckNeeds, source: SourceRow): Promise<Finding[]> {
  const findings: Finding[] = []
  const tell =
    (store: Finding['store'], key: string) =>
    (problem: Problem, detail: string): void =>
      void findings.push({
        problem,
        store,
        key,
        videoId: source.video_id,
        sourceId: source.id,
        detail,
      })
  if (await isOriginalBack(needs, source)) {
    tell('originals', source.object_key)('found_again', 'it is there and whole, but was given up')
  }
  for (const { store, key, sizeBytes, isFilm } of await listFiles(needs.db, source)) {
    const say = tell(store, key)
    const object = await findWhole(needs[store], key, sizeBytes, say)
    if (object !== null && isFilm) await checkFilm(needs, object, source, say)
  }
  return findings
}

/** It may go while it is looked at. */
async function checkFilm(
  needs: CheckNeeds,
  object: ObjectInfo,
  source: SourceRow,
  say: Say,
): Promise<void> {
  try {
    await checkIndex(needs, object, say)
    const why = await undecodable(needs, object, source)
    if (why !== null) say('undecodable', why)
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'not_found') throw error
    say('missing', 'it is not there')
  }
}

/** What was copied from the original has the faults of the original: to make it anew would not help. */
async function undecodable(
  { decode, media, originals }: CheckNeeds,
  { key }: ObjectInfo,
  source: SourceRow,
): Promise<string | null> {
  if (decode === null) return null
  const durationMs = source.media_info?.durationMs ?? 0
  const why = await decode(media, key, durationMs)
  if (why === null || (await originals.find(source.object_key)) === null) return why
  const isInherited = (await decode(originals, source.object_key, durationMs)) !== null
  return isInherited ? null : why
}

type Say = (problem: Problem, detail: string) => void

/** The object, unless something is wrong with it. */
async function findWhole(
  store: ObjectStore,
  key: string,
  sizeBytes: number | null,
  say: Say,
): Promise<ObjectInfo | null> {
  const object = await store.find(key)
  if (object === null) {
    say('missing', 'it is not there')
    return null
  }
  if (sizeBytes === null ? object.sizeBytes > 0 : object.sizeBytes === sizeBytes) return object
  const expected = sizeBytes === null ? 'more than 0' : String(sizeBytes)
  say('wrong_size', `it has ${object.sizeBytes} bytes, not ${expected}`)
  return null
}

/** Films that were made before there were fragments have no index, and play without. */
async function checkIndex(
  { db, media }: CheckNeeds,
  { key, sizeBytes }: ObjectInfo,
  say: Say,
): Promise<void> {
  const row = await db
    .selectFrom('fragment_indexes')
    .select('fragments')
    .where('object_key', '=', key)
    .executeTakeFirst()
  if (!row) return
  const { fragments: index } = row
  if (index.sizeBytes !== sizeBytes) {
    return say('wrong_index', `its index is of a file of ${index.sizeBytes} bytes`)
  }
  for (const { span, box } of landmarks(index)) {
    const type = await boxTypeAt(media, key, span, sizeBytes)
    if (type !== box) return say('wrong_index', `there is no ${box} at byte ${span[0]}`)
  }
}

/** Where boxes must begin: the first and the last of each track tell whether the rest can fit. */
function landmarks(index: FragmentIndex): { span: ByteSpan; box: string }[] {
  return [index.video, index.audio].flatMap((track) =>
    track === null
      ? []
      : [
          { span: track.init, box: 'ftyp' },
          ...[firstFragment(track), lastFragment(track)].flatMap((span) =>
            span === null ? [] : [{ span, box: 'moof' }],
          ),
        ],
  )
}

function firstFragment({ offsets, lengths }: TrackFragments): ByteSpan | null {
  const at = lengths.findIndex((length) => length > 0)
  return at < 0 ? null : [offsets[at] ?? 0, lengths[at] ?? 0]
}

function lastFragment({ offsets, lengths }: TrackFragments): ByteSpan | null {
  const at = lengths.findLastIndex((length) => length > 0)
  return at < 0 ? null : [offsets[at] ?? 0, lengths[at] ?? 0]
}

/** ISO/IEC 14496-12 §4.2: four bytes of length, four of type. */
async function boxTypeAt(
  media: ObjectStore,
  key: string,
  [offset, length]: ByteSpan,
  sizeBytes: number,
): Promise<string | null> {
  if (length < 8 || offset + length > sizeBytes) return null
  const chunks: Buffer[] = []
  for await (const chunk of await media.read(key, { start: offset + 4, end: offset + 7 })) {
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString('latin1')
}
