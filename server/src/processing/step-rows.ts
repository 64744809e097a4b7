import type { Database, Transacting } from '../db/database.ts'
import { asJson, type SourceRow, type StepKind, type StepRow } from '../db/tables.ts'
import { enqueue } from '../tasks/queue.ts'
import type { TaskFailure, TaskKind } from '../tasks/task.ts'
import { subjectOf } from '../videos/video-rows.ts'

/** The statements on the table `steps`. */

const TASK_OF = {
  probe: 'process_source',
  copy: 'copy_streams',
  subtitles: 'extract_subtitles',
  encode: 'encode_part',
  package: 'package_rungs',
} as const satisfies Record<StepKind, TaskKind>

export interface NewStep {
  name: string
  kind: Exclude<StepKind, 'probe'>
  part: unknown
  /** Among tasks that are due; lower goes first. */
  priority?: number
}

/** Writes a step and the task that does it. Repeating it changes nothing. */
export async function addStep(
  trx: Transacting,
  source: Pick<SourceRow, 'id' | 'video_id'>,
  { name, kind, part, priority = 0 }: NewStep,
  now: Date,
): Promise<void> {
  const added = await trx
    .insertInto('steps')
    .values({
      source_id: source.id,
      name,
      kind,
      part: asJson(part),
      state: 'waiting',
      task_id: null,
    })
    .onConflict((conflict) => conflict.columns(['source_id', 'name']).doNothing())
    .returning('id')
    .executeTakeFirst()
  if (!added) return
  const payload = { sourceId: source.id, stepId: added.id }
  const base = await basePriority(trx, source.video_id)
  const options = { subject: subjectOf(source.video_id), now, priority: base + priority }
  const taskId = await enqueue(trx, TASK_OF[kind], payload, options)
  await trx.updateTable('steps').set({ task_id: taskId }).where('id', '=', added.id).execute()
}

/** Of the first step's task: what is processed again without haste stays without haste. */
async function basePriority(trx: Transacting, videoId: number): Promise<number> {
  const first = await trx
    .selectFrom('tasks')
    .select('priority')
    .where('kind', '=', 'process_source')
    .where('subject', '=', subjectOf(videoId))
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
  return first?.priority ?? 0
}

/** The first step has no row before its task runs. */
export async function ensureProbeStep(
  trx: Transacting,
  sourceId: number,
  taskId: number,
): Promise<number> {
  await trx
    .insertInto('steps')
    .values({
      source_id: sourceId,
      name: 'probe',
      kind: 'probe',
      part: asJson({}),
      state: 'waiting',
      task_id: taskId,
    })
    .onConflict((conflict) => conflict.columns(['source_id', 'name']).doNothing())
    .execute()
  const { id } = await trx
    .selectFrom('steps')
    .select('id')
    .where('source_id', '=', sourceId)
    .where('name', '=', 'probe')
    .executeTakeFirstOrThrow()
  return id
}

export async function beginStep(
  trx: Transacting,
  stepId: number,
  now: Date,
): Promise<StepRow | null> {
  const step = await trx
    .updateTable('steps')
    .set((eb) => ({
      state: 'running',
      attempts: eb('attempts', '+', 1),
      command: null,
      output: null,
      started_at: now,
    }))
    .where('id', '=', stepId)
    .returningAll()
    .executeTakeFirst()
  return step ?? null
}

export async function tellCommand(
  trx: Transacting,
  stepId: number,
  command: string,
): Promise<void> {
  await trx.updateTable('steps').set({ command }).where('id', '=', stepId).execute()
}

export async function finishStep(
  trx: Transacting,
  stepId: number,
  end: { result: unknown; output: string; now: Date },
): Promise<void> {
  await trx
    .updateTable('steps')
    .set({
      state: 'done',
      result: asJson(end.result),
      output: end.output,
      error_code: null,
      error_message: null,
      finished_at: end.now,
    })
    .where('id', '=', stepId)
    .execute()
}

/** Of an attempt; the step waits for the next one, unless it is given up. */
export async function tellFailure(
  trx: Transacting,
  stepId: number,
  failure: TaskFailure,
  output: string,
): Promise<void> {
  await trx
    .updateTable('steps')
    .set({
      state: 'waiting',
      output,
      error_code: failure.code,
      error_message: failure.message,
    })
    .where('id', '=', stepId)
    .execute()
}

/** In the order in which they were added. */
export async function listSteps(db: Database | Transacting, sourceId: number): Promise<StepRow[]> {
  return await db
    .selectFrom('steps')
    .selectAll()
    .where('source_id', '=', sourceId)
    .orderBy('id')
    .execute()
}

/** Ends what has not ended, with its tasks: runs of them find their lease lost. */
export async function dropUnfinished(trx: Transacting, sourceId: number): Promise<void> {
  const dropped = await trx
    .deleteFrom('steps')
    .where('source_id', '=', sourceId)
    .where('state', 'in', ['waiting', 'running'])
    .returning('task_id')
    .execute()
  const taskIds = dropped.flatMap(({ task_id: id }) => id ?? [])
  if (taskIds.length > 0) await trx.deleteFrom('tasks').where('id', 'in', taskIds).execute()
}

/** The file of an upload is processed from the start. */
export async function forgetSteps(trx: Transacting, sourceId: number): Promise<void> {
  await dropUnfinished(trx, sourceId)
  await trx.deleteFrom('steps').where('source_id', '=', sourceId).execute()
}
