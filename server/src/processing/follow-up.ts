import type { Transacting } from '../db/database.ts'
import { asJson, type SourceRow, type StepRow } from '../db/tables.ts'
import type { SourcePlan } from '../media/plan.ts'
import { partsOf, rungNames } from '../media/rung-input.ts'
import { addStep, listSteps } from './step-rows.ts'
import { planOf, STEP_NAMES, type EncodeStep, type PackageStep, type StoredPlan } from './step.ts'

/** What follows from a step that is done. Called in the transaction that ends it. */

/** Stores the plan, and writes the steps that it consists of. */
export async function addPlannedSteps(
  trx: Transacting,
  source: SourceRow,
  plan: SourcePlan,
  now: Date,
): Promise<void> {
  const stored: StoredPlan = { ...plan, isReplay: await hasRenditions(trx, source.id) }
  await trx
    .updateTable('sources')
    .set({ plan: asJson(stored) })
    .where('id', '=', source.id)
    .execute()
  for (const part of plan.parts) {
    const step: EncodeStep = { part }
    // Chunks of a long film wait for shorter films, and for what makes their own film play.
    const priority = part.range === null ? 0 : 1
    await addStep(trx, source, { name: part.name, kind: 'encode', part: step, priority }, now)
  }
  if (plan.subtitles.length > 0) {
    await addStep(trx, source, { name: STEP_NAMES.subtitles, kind: 'subtitles', part: {} }, now)
  }
}

export async function hasRenditions(trx: Transacting, sourceId: number): Promise<boolean> {
  const row = await trx
    .selectFrom('renditions')
    .select('id')
    .where('source_id', '=', sourceId)
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

/** Has every rung packaged whose parts are all there. Of two steps that end at once, the second one sees both. */
export async function packageWhatIsReady(
  trx: Transacting,
  sourceId: number,
  now: Date,
): Promise<void> {
  const source = await lockSource(trx, sourceId)
  if (source === null) return
  const plan = planOf(source)
  const steps = await listSteps(trx, sourceId)
  const done = new Set(steps.filter(({ state }) => state === 'done').map(({ name }) => name))
  const begun = steps.filter(isPackaging).flatMap(({ part }) => (part as PackageStep).rungs)
  const ready = rungNames(plan).filter(
    (rung) => !begun.includes(rung) && partsOf(plan, rung).every((part) => done.has(part)),
  )
  // A long film's rungs may be packaged on several machines; a short one's are done at once.
  const groups = plan.parts.length > 1 ? ready.map((rung) => [rung]) : [ready]
  for (const [index, rungs] of groups.entries()) {
    if (rungs.length === 0) continue
    const part: PackageStep = { rungs, hasOtherAudio: begun.length === 0 && index === 0 }
    await addStep(trx, source, { name: `package ${rungs.join(', ')}`, kind: 'package', part }, now)
  }
}

export function isPackaging(step: StepRow): boolean {
  return step.kind === 'package'
}

/** Steps of one source end one after the other. */
export async function lockSource(trx: Transacting, sourceId: number): Promise<SourceRow | null> {
  const source = await trx
    .selectFrom('sources')
    .selectAll()
    .where('id', '=', sourceId)
    .forUpdate()
    .executeTakeFirst()
  return source ?? null
}
