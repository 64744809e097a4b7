import type { Database } from '../../server/src/db/database.ts'
import type { SourceRow, StepRow } from '../../server/src/db/tables.ts'
import { partsOf } from '../../server/src/media/rung-input.ts'
import { planOf, type PackageStep } from '../../server/src/processing/step.ts'
import type { MeasuredStep } from './model.ts'

/** A step with the time at which it might have begun, in seconds since the first one did. */
export type TimedStep = MeasuredStep & { possibleAt: number }

/** The steps of a video that is ready, in the order in which they began. */
export async function stepsOf(db: Database, videoId: number): Promise<TimedStep[]> {
  const source = await db
    .selectFrom('sources')
    .selectAll()
    .where('video_id', '=', videoId)
    .executeTakeFirstOrThrow()
  const rows = await db
    .selectFrom('steps')
    .selectAll()
    .where('source_id', '=', source.id)
    .orderBy('started_at')
    .execute()
  const zero = rows[0]?.started_at?.getTime() ?? 0
  const at = (time: Date | null): number => ((time?.getTime() ?? zero) - zero) / 1000
  const endOf = new Map(rows.map((row) => [row.name, at(row.finished_at)]))
  return rows.map((row) => {
    const after = namesBefore(row, rows, source)
    const possibleAt = Math.max(0, ...after.map((name) => endOf.get(name) ?? 0))
    return {
      name: row.name,
      begunAt: at(row.started_at),
      endedAt: at(row.finished_at),
      after,
      possibleAt,
    }
  })
}

/** What follows from what, as `follow-up.ts` has it. */
function namesBefore(row: StepRow, rows: StepRow[], source: SourceRow): string[] {
  const of = (kind: StepRow['kind']): string[] =>
    rows.filter((other) => other.kind === kind).map(({ name }) => name)
  const planning = of('copy').length > 0 ? of('copy') : of('probe')
  if (row.kind === 'probe') return []
  if (row.kind === 'copy') return of('probe')
  if (row.kind !== 'package') return planning
  const { rungs } = row.part as PackageStep
  return [...new Set(rungs.flatMap((rung) => partsOf(planOf(source), rung)))]
}

/** From the last step to end back to the first: each time the step that was waited for. */
export function criticalPath(steps: TimedStep[]): string[] {
  const lastOf = (some: TimedStep[]): TimedStep | undefined =>
    some.toSorted((one, other) => other.endedAt - one.endedAt)[0]
  const path: string[] = []
  for (let step = lastOf(steps); step !== undefined;) {
    path.unshift(step.name)
    const before = new Set(step.after)
    step = lastOf(steps.filter(({ name }) => before.has(name)))
  }
  return path
}
