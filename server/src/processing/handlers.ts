import type { Database } from '../db/database.ts'
import type { Handlers } from '../tasks/task.ts'
import { copySource } from './copy-source.ts'
import { encodeSource } from './encode-source.ts'
import { packageSource } from './package-source.ts'
import { probeSource } from './probe-source.ts'
import { stepHandler, type ProcessingNeeds, type StepOutcome, type StepRun } from './run-step.ts'
import { listSteps } from './step-rows.ts'
import type { PartResult, STEP_TASKS } from './step.ts'
import { subtitlesOfSource } from './subtitles-of-source.ts'
import type { WatchStep } from './watch-step.ts'

/** The handlers of the tasks that turn a source into a video, one for each kind of step. */
export function processingHandlers(
  needs: ProcessingNeeds & { db: Database; watchStep: WatchStep },
): Pick<Handlers, (typeof STEP_TASKS)[number]> {
  async function listParts(sourceId: number): Promise<Map<string, PartResult>> {
    const done = (await listSteps(needs.db, sourceId)).filter(
      ({ kind, state }) => state === 'done' && (kind === 'copy' || kind === 'encode'),
    )
    return new Map(done.map(({ name, result }) => [name, result as PartResult]))
  }
  const step = <K extends (typeof STEP_TASKS)[number]>(
    work: (run: StepRun) => Promise<StepOutcome>,
  ) => stepHandler<K>(needs, (run) => needs.watchStep(run, () => work(run)))
  return {
    process_source: step((run) => probeSource(needs, run)),
    copy_streams: step((run) => copySource(needs, run)),
    extract_subtitles: step((run) => subtitlesOfSource(needs, run)),
    encode_part: step((run) => encodeSource(needs, run)),
    package_rungs: step((run) => packageSource({ ...needs, listParts }, run)),
  }
}
