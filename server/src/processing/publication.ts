import type { Transacting } from '../db/database.ts'
import { asJson, type SourceRow } from '../db/tables.ts'
import { rungNames } from '../media/rung-input.ts'
import type { TaskFailure } from '../tasks/task.ts'
import { enqueueTidy } from '../videos/tidy-tasks.ts'
import { touch } from '../videos/touch.ts'
import type { RecordEvent } from '../webhooks/outbox.ts'
import { hasRenditions, isPackaging, lockSource } from './follow-up.ts'
import { dropUnfinished, listSteps } from './step-rows.ts'
import { planOf, type PackageResult, type PackageStep } from './step.ts'

/** How a source becomes what plays, or an error. All of it runs in the transaction that ends a step. */

export interface PublicationNeeds {
  /** Whether viewers see a video as soon as one rung of it plays. */
  isEarly: boolean
  keepsOriginals: boolean
  recordEvent: RecordEvent
}

/** Shows what was packaged, to superusers at least, while the rest is being made. */
export async function showEarly(
  needs: PublicationNeeds,
  trx: Transacting,
  source: SourceRow,
  packaged: PackageResult,
  now: Date,
): Promise<void> {
  const locked = await lockSource(trx, source.id)
  // What plays already is replaced at once when everything is done, not rung by rung.
  if (locked === null || planOf(locked).isReplay) return
  await insertPackaged(trx, packaged)
  if (needs.isEarly) {
    await trx
      .updateTable('videos')
      .set({ published_source_id: source.id })
      .where('id', '=', source.video_id)
      .where('published_source_id', 'is', null)
      .execute()
  }
  await touch(trx, source.video_id, now)
}

/** Publishes a source once all of its steps are done; until then, nothing happens. */
export async function publishIfDone(
  needs: PublicationNeeds,
  trx: Transacting,
  sourceId: number,
  now: Date,
): Promise<void> {
  const source = await lockSource(trx, sourceId)
  if (source === null || source.plan === null) return
  const steps = await listSteps(trx, sourceId)
  const packaging = steps.filter(isPackaging)
  const packaged = packaging.flatMap(({ part }) => (part as PackageStep).rungs)
  const isDone =
    steps.every(({ state }) => state === 'done') &&
    rungNames(planOf(source)).every((rung) => packaged.includes(rung))
  if (!isDone) return
  await removePublished(trx, sourceId)
  for (const { result } of packaging) await insertPackaged(trx, result as PackageResult)
  await forgetStrayIndexes(trx, sourceId)
  const dropped = await makeReady(needs, trx, source, now)
  await enqueueTidy(trx, source.video_id, dropped, now)
  await needs.recordEvent(trx, 'video.ready', source.video_id, now)
}

/** Returns the keys of originals that are not needed any more. */
async function makeReady(
  { keepsOriginals }: PublicationNeeds,
  trx: Transacting,
  source: SourceRow,
  now: Date,
): Promise<string[]> {
  await trx
    .updateTable('sources')
    .set({
      state: 'ready',
      error_code: null,
      error_message: null,
      updated_at: now,
      ...(keepsOriginals ? {} : { original_dropped_at: now }),
    })
    .where('id', '=', source.id)
    .execute()
  await trx
    .updateTable('videos')
    .set({ published_source_id: source.id, updated_at: now })
    .where('id', '=', source.video_id)
    .execute()
  const replaced = await trx
    .deleteFrom('sources')
    .where('video_id', '=', source.video_id)
    .where('id', '<', source.id)
    .returning('object_key')
    .execute()
  return [
    ...replaced.map((each) => each.object_key),
    ...(keepsOriginals ? [] : [source.object_key]),
  ]
}

/** The source is given up: nothing of it can be fetched, unless it has played before and still does. */
export async function fail(
  { recordEvent }: PublicationNeeds,
  trx: Transacting,
  { sourceId, stepId }: { sourceId: number; stepId?: number },
  failure: TaskFailure,
  now: Date,
): Promise<void> {
  const source = await lockSource(trx, sourceId)
  if (source === null) return
  await markFailed(trx, sourceId, stepId, failure, now)
  if (!(await isReplay(trx, source))) await withdraw(trx, source)
  await forgetStrayIndexes(trx, sourceId)
  await trx
    .updateTable('sources')
    .set({
      state: 'error',
      error_code: failure.code,
      error_message: failure.message,
      updated_at: now,
    })
    .where('id', '=', sourceId)
    .execute()
  await touch(trx, source.video_id, now)
  await enqueueTidy(trx, source.video_id, [], now)
  await recordEvent(trx, 'video.error', source.video_id, now)
}

/** The step that failed stays, with the reason; what was to follow goes. */
async function markFailed(
  trx: Transacting,
  sourceId: number,
  stepId: number | undefined,
  failure: TaskFailure,
  now: Date,
): Promise<void> {
  await trx
    .updateTable('steps')
    .set({
      state: 'failed',
      error_code: failure.code,
      error_message: failure.message,
      finished_at: now,
    })
    .where('source_id', '=', sourceId)
    // The first step's task knows only its source.
    .where((eb) => (stepId === undefined ? eb('name', '=', 'probe') : eb('id', '=', stepId)))
    .execute()
  await dropUnfinished(trx, sourceId)
}

/** A run that fails before it has a plan has packaged nothing: what there is, is of an earlier one. */
async function isReplay(trx: Transacting, source: SourceRow): Promise<boolean> {
  return source.plan === null ? await hasRenditions(trx, source.id) : planOf(source).isReplay
}

/** Nothing of it can be fetched any more; it may be processed anew. */
export async function withdraw(trx: Transacting, source: SourceRow): Promise<void> {
  await removePublished(trx, source.id)
  await trx.deleteFrom('subtitles').where('source_id', '=', source.id).execute()
  await unpublish(trx, source)
}

/** A source without renditions shows nothing, not even its poster. */
async function unpublish(trx: Transacting, source: SourceRow): Promise<void> {
  await trx
    .updateTable('sources')
    .set({ poster_key: null, thumb_hash: null, storyboard: null })
    .where('id', '=', source.id)
    .execute()
  await trx
    .updateTable('videos')
    .set({ published_source_id: null })
    .where('id', '=', source.video_id)
    .where('published_source_id', '=', source.id)
    .execute()
}

async function removePublished(trx: Transacting, sourceId: number): Promise<void> {
  await trx.deleteFrom('renditions').where('source_id', '=', sourceId).execute()
  await trx.deleteFrom('audio_tracks').where('source_id', '=', sourceId).execute()
}

async function insertPackaged(
  trx: Transacting,
  { renditions, audioTracks }: PackageResult,
): Promise<void> {
  if (renditions.length > 0) await trx.insertInto('renditions').values(renditions).execute()
  if (audioTracks.length > 0) await trx.insertInto('audio_tracks').values(audioTracks).execute()
}

/** Where the fragments are of what is packaged; of no use until its rows are there. */
export async function keepIndexes(
  trx: Transacting,
  sourceId: number,
  indexes: { objectKey: string; fragments: unknown }[],
): Promise<void> {
  if (indexes.length === 0) return
  await trx
    .insertInto('fragment_indexes')
    .values(
      indexes.map(({ objectKey, fragments }) => ({
        object_key: objectKey,
        source_id: sourceId,
        fragments: asJson(fragments),
      })),
    )
    .execute()
}

/** Of what was packaged and is not published, or not any more. */
async function forgetStrayIndexes(trx: Transacting, sourceId: number): Promise<void> {
  await trx
    .deleteFrom('fragment_indexes')
    .where('source_id', '=', sourceId)
    .where('object_key', 'not in', (eb) =>
      eb.selectFrom('renditions').select('object_key').where('source_id', '=', sourceId),
    )
    .where('object_key', 'not in', (eb) =>
      eb
        .selectFrom('audio_tracks')
        .select((track) => track.ref('object_key').$notNull().as('object_key'))
        .where('source_id', '=', sourceId)
        .where('object_key', 'is not', null),
    )
    .execute()
}
