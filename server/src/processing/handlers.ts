import type { Database } from '../db/database.ts'
import type { Handlers } from '../tasks/task.ts'
import { copySource } from './copy-source.ts'
import { encodeSource } from './encode-source.ts'
import { packageSource } from './package-source.ts'
import { probeSource } from './probe-source.ts'
import { stepHandler, type ProcessingNeeds } from './run-step.ts'
import { listSteps } from './step-rows.ts'
import type { PartResult, STEP_TASKS } from './step.ts'
import { subtitlesOfSource } from './subtitles-of-source.ts'

/** The handlers of the tasks that turn a source into a video, one for each kind of step. */
export function processingHandlers(
  needs: ProcessingNeeds & { db: Database },
): Pick<Handlers, (typeof STEP_TASKS)[number]> {
  async function listParts(sourceId: number): Promise<Map<string, PartResult>> {
    const done = (await listSteps(needs.db, sourceId)).filter(
      ({ kind, state }) => state === 'done' && (kind === 'copy' || kind === 'encode'),
    )
    return new Map(done.map(({ name, result }) => [name, result as PartResult]))
  }
  return {
    process_source: stepHandler(needs, (run) => probeSource(needs, run)),
    copy_streams: stepHandler(needs, (run) => copySource(needs, run)),
    extract_subtitles: stepHandler(needs, (run) => subtitlesOfSource(needs, run)),
    encode_part: stepHandler(needs, (run) => encodeSource(needs, run)),
    package_rungs: stepHandler(needs, (run) => packageSource({ ...needs, listParts }, run)),
  }
}
