import { asJson } from '../db/tables.ts'
import { copyCandidate, planSource } from '../media/plan.ts'
import { probe } from '../media/probe.ts'
import { planOptions } from '../media/plan-options.ts'
import { addPlannedSteps } from './follow-up.ts'
import type { ProcessingNeeds, StepOutcome, StepRun } from './run-step.ts'
import { addStep } from './step-rows.ts'
import { STEP_NAMES } from './step.ts'

/** Looks at the file, and decides what follows: a copy of the picture if that may do, else the plan. */
export async function probeSource(
  { planning }: ProcessingNeeds,
  { source, withSource }: StepRun,
): Promise<StepOutcome> {
  const { tools, sourcePath, signal } = await withSource()
  const info = await probe(tools, sourcePath, signal)
  const options = await planOptions(tools, info, planning)
  const mayCopy = copyCandidate(info, options) !== null
  return {
    result: { mayCopy },
    async effect(trx, now) {
      await trx
        .updateTable('sources')
        .set({ media_info: asJson(info) })
        .where('id', '=', source.id)
        .execute()
      if (mayCopy) {
        await addStep(trx, source, { name: STEP_NAMES.copy, kind: 'copy', part: {} }, now)
      } else {
        await addPlannedSteps(trx, source, planSource(info, options), now)
      }
    },
  }
}
