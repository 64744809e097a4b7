import { join } from 'node:path'
import { asJson } from '../db/tables.ts'
import { encodePart } from '../media/encode.ts'
import { finishStills, type Stills } from '../media/stills.ts'
import type { Storyboard } from '../media/storyboard.ts'
import type { ObjectStore } from '../ports/object-store/object-store.ts'
import { packageWhatIsReady } from './follow-up.ts'
import { keepFiles } from './intermediates.ts'
import type { ProcessingNeeds, StepOutcome, StepRun } from './run-step.ts'
import { planOf, type EncodeStep } from './step.ts'

/** Runs the encoder for one part of the plan. */
export async function encodeSource(
  { intermediates, media }: ProcessingNeeds,
  { source, step, job, withSource, intermediatePrefix, mediaPrefix }: StepRun,
): Promise<StepOutcome> {
  const plan = planOf(source)
  const { part } = step.part as EncodeStep
  const { files, output } = await encodePart(await withSource(), plan, part)
  const stills = part.hasStills ? await finishStills(job, plan) : null
  const shown = stills && (await storeStills(media, mediaPrefix, job.workDir, stills, job.signal))
  const result = await keepFiles(intermediates, intermediatePrefix, job.workDir, files, job.signal)
  return {
    result,
    output,
    async effect(trx, now) {
      if (shown !== null) {
        await trx
          .updateTable('sources')
          .set({
            poster_key: shown.posterKey,
            thumb_hash: shown.thumbHash,
            storyboard: shown.storyboard === null ? null : asJson(shown.storyboard),
          })
          .where('id', '=', source.id)
          .execute()
      }
      await packageWhatIsReady(trx, source.id, now)
    },
  }
}

async function storeStills(
  media: ObjectStore,
  prefix: string,
  workDir: string,
  { posterFile, thumbHash, storyboard }: Stills,
  signal: AbortSignal,
): Promise<{ posterKey: string; thumbHash: string; storyboard: Storyboard | null }> {
  const posterKey = `${prefix}/poster.jpg`
  await media.putFile(posterKey, join(workDir, posterFile), signal)
  const sheets: string[] = []
  for (const [index, path] of (storyboard?.sheets ?? []).entries()) {
    signal.throwIfAborted()
    const key = `${prefix}/storyboard-${index + 1}.jpg`
    await media.putFile(key, path, signal)
    sheets.push(key)
  }
  return { posterKey, thumbHash, storyboard: storyboard && { ...storyboard, sheets } }
}
