import { copyStreams } from '../media/copy-streams.ts'
import { planOptions } from '../media/plan-options.ts'
import { addPlannedSteps, packageWhatIsReady } from './follow-up.ts'
import { keepFiles } from './intermediates.ts'
import type { ProcessingNeeds, StepOutcome, StepRun } from './run-step.ts'

/** Copies the picture where that makes a good rung, and plans the rest around its keyframes. */
export async function copySource(
  { planning, intermediates }: ProcessingNeeds,
  { source, job, withSource, intermediatePrefix }: StepRun,
): Promise<StepOutcome> {
  if (source.media_info === null) throw new Error('a source is copied before it was probed')
  const options = await planOptions(job.tools, source.media_info, planning)
  const { plan, files, output } = await copyStreams(await withSource(), source.media_info, options)
  const result = await keepFiles(intermediates, intermediatePrefix, job.workDir, files, job.signal)
  return {
    result,
    output,
    async effect(trx, now) {
      await addPlannedSteps(trx, source, plan, now)
      await packageWhatIsReady(trx, source.id, now)
    },
  }
}
