import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { SubtitlePlan } from '../media/plan.ts'
import { extractSubtitles } from '../media/extract-subtitles.ts'
import { MediaFailure } from '../media/failure.ts'
import { cleanWebVtt } from '../subtitles/webvtt.ts'
import { nameOf } from './package-source.ts'
import { publishIfDone } from './publication.ts'
import type { ProcessingNeeds, StepOutcome, StepRun } from './run-step.ts'
import { planOf } from './step.ts'

interface StoredSubtitles extends SubtitlePlan {
  objectKey: string
}

/** Publishes the text subtitles inside of a source. A film is none the worse without them. */
export async function subtitlesOfSource(
  { media, publication, log }: ProcessingNeeds,
  run: StepRun,
): Promise<StepOutcome> {
  const { source, job, withSource, mediaPrefix } = run
  let output = ''
  let found: SubtitlePlan[] = []
  try {
    ;({ found, output } = await extractSubtitles(await withSource(), planOf(source)))
  } catch (error) {
    if (!(error instanceof MediaFailure)) throw error
    log.info({ err: error }, 'the subtitles of a source cannot be read')
    output = error.detail ?? error.sentence
  }
  const stored: StoredSubtitles[] = []
  for (const subtitles of found) {
    const path = join(job.workDir, subtitles.file)
    const text = cleanWebVtt(await readFile(path))
    if (text === null) continue
    await writeFile(path, text)
    const objectKey = `${mediaPrefix}/${subtitles.file}`
    await media.putFile(objectKey, path, job.signal)
    stored.push({ ...subtitles, objectKey })
  }
  return {
    result: { found: stored.length },
    output,
    async effect(trx, now) {
      await trx.deleteFrom('subtitles').where('source_id', '=', source.id).execute()
      if (stored.length > 0) {
        await trx
          .insertInto('subtitles')
          .values(
            stored.map(({ objectKey, language, title, isForced }, index) => ({
              video_id: source.video_id,
              source_id: source.id,
              object_key: objectKey,
              language,
              label: title ?? nameOf(language) ?? `Subtitles ${index + 1}`,
              is_forced: isForced,
              created_at: now,
            })),
          )
          .execute()
      }
      await publishIfDone(publication, trx, source.id, now)
    },
  }
}
