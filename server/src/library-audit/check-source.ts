import type { Database } from '../db/database.ts'
import type { SourceRow } from '../db/tables.ts'
import { AppError } from '../errors.ts'
import type { ByteSpan, FragmentIndex, TrackFragments } from '../media/mp4/fragment-index.ts'
import type { ObjectInfo, ObjectStore } from '../ports/object-store/object-store.ts'
import type { Finding, Problem } from './finding.ts'

export interface CheckNeeds {
  db: Database
  media: ObjectStore
  originals: ObjectStore
  /** Null: it decodes. Otherwise why not. */
  decode: ((key: string, durationMs: number) => Promise<string | null>) | null
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
  await checkOriginal(needs, source, tell('originals', source.object_key))
  if (source.state !== 'ready' && !(await isPublished(needs.db, source))) return findings
  const durationMs = source.media_info?.durationMs ?? 0
  for (const { key, sizeBytes, isFilm } of await listFiles(needs.db, source)) {
    const say = tell('media', key)
    const object = await findWhole(needs.media, key, sizeBytes, say)
    if (object !== null && isFilm) await checkFilm(needs, object, durationMs, say)
  }
  return findings
}

/** It may go while it is looked at. */
async function checkFilm(
  needs: CheckNeeds,
  object: ObjectInfo,
  durationMs: number,
  say: Say,
): Promise<void> {
  try {
    await checkIndex(needs, object, say)
    const why = await needs.decode?.(object.key, durationMs)
    if (why) say('undecodable', why)
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'not_found') throw error
    say('missing', 'it is not there')
  }
}

type Say = (problem: Problem, detail: string) => void

async function checkOriginal(
  { originals }: CheckNeeds,
  source: SourceRow,
  say: Say,
): Promise<void> {
  if (source.original_dropped_at !== null) return
  await findWhole(originals, source.object_key, source.size_bytes, say)
}

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

interface NamedFile {
  key: string
  /** Null where no row tells it. */
  sizeBytes: number | null
  /** Picture or sound, in fragments. */
  isFilm: boolean
}

async function listFiles(db: Database, source: SourceRow): Promise<NamedFile[]> {
  const films = await Promise.all(
    (['renditions', 'audio_tracks'] as const).map((table) =>
      db
        .selectFrom(table)
        .select(['object_key', 'size_bytes'])
        .where('source_id', '=', source.id)
        .execute(),
    ),
  )
  const subtitles = await db
    .selectFrom('subtitles')
    .select('object_key')
    .where('video_id', '=', source.video_id)
    .where((eb) => eb.or([eb('source_id', '=', source.id), eb('source_id', 'is', null)]))
    .execute()
  const others = [
    source.poster_key,
    ...(source.storyboard?.sheets ?? []),
    ...subtitles.map((row) => row.object_key),
  ]
  return [
    ...films
      .flat()
      .flatMap(({ object_key: key, size_bytes: sizeBytes }) =>
        key === null ? [] : [{ key, sizeBytes, isFilm: true }],
      ),
    ...others.flatMap((key) => (key === null ? [] : [{ key, sizeBytes: null, isFilm: false }])),
  ]
}

async function isPublished(db: Database, { id, video_id: videoId }: SourceRow): Promise<boolean> {
  const row = await db
    .selectFrom('videos')
    .select('id')
    .where('id', '=', videoId)
    .where('published_source_id', '=', id)
    .executeTakeFirst()
  return row !== undefined
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
