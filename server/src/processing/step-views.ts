import type { Database } from '../db/database.ts'
import type { StepKind, StepRow } from '../db/tables.ts'
import { progress, type Progress } from '../tasks/task.ts'

/** A step as superusers see it: without what it was told and what it made, with how far it is. */
export interface StepView extends Pick<
  StepRow,
  | 'id'
  | 'source_id'
  | 'name'
  | 'state'
  | 'attempts'
  | 'command'
  | 'output'
  | 'error_code'
  | 'error_message'
  | 'started_at'
  | 'finished_at'
> {
  kind: StepKind
  progress: Progress | null
}

/**
 * The steps of sources, each in the order in which they were added. Commands and their output are long: without
 * `isFull`, only steps that run or have failed tell them.
 */
export async function listStepViews(
  db: Database,
  sourceIds: number[],
  { isFull }: { isFull: boolean },
): Promise<Map<number, StepView[]>> {
  if (sourceIds.length === 0) return new Map()
  const told: StepRow['state'][] = isFull
    ? ['waiting', 'running', 'failed', 'done']
    : ['running', 'failed']
  const rows = await db
    .selectFrom('steps')
    .leftJoin('tasks', 'tasks.id', 'steps.task_id')
    .select(['steps.id', 'steps.source_id', 'steps.name', 'steps.kind', 'steps.state'])
    .select(['steps.attempts', 'steps.error_code', 'steps.error_message'])
    .select(['steps.started_at', 'steps.finished_at', 'tasks.progress', 'tasks.lease_owner'])
    .select((eb) => [
      eb.case().when('steps.state', 'in', told).then(eb.ref('steps.command')).end().as('command'),
      eb.case().when('steps.state', 'in', told).then(eb.ref('steps.output')).end().as('output'),
    ])
    .where('steps.source_id', 'in', sourceIds)
    .orderBy('steps.id')
    .execute()
  const views = rows.map(({ lease_owner: owner, ...row }) => ({
    ...row,
    // The row says what an attempt began; whether it still runs, its task knows.
    state: row.state === 'running' && owner === null ? 'waiting' : row.state,
    progress: progress.safeParse(row.progress).data ?? null,
  }))
  return Map.groupBy(views, (view) => view.source_id)
}
