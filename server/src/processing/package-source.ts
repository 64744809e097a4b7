import { basename } from 'node:path'
import {
  packageOtherAudio,
  packageRungs,
  type PackagedAudio,
  type PackagedRungs,
} from '../media/package-rungs.ts'
import type { AudioPlan } from '../media/plan.ts'
import { inputOf, type Locate } from '../media/rung-input.ts'
import { fetchFiles } from './intermediates.ts'
import { keepIndexes, publishIfDone, showEarly } from './publication.ts'
import type { ProcessingNeeds, StepOutcome, StepRun } from './run-step.ts'
import {
  planOf,
  type AudioTrack,
  type PackageResult,
  type PackageStep,
  type PartResult,
  type StoredPlan,
} from './step.ts'

/** Puts together the files that are published, looks at them again, and stores them. */
export async function packageSource(
  needs: ProcessingNeeds & { listParts: ListParts },
  run: StepRun,
): Promise<StepOutcome> {
  const { source, job, step, mediaPrefix } = run
  const plan = planOf(source)
  const { rungs, hasOtherAudio } = step.part as PackageStep
  const locate = await locateFiles(needs, run, rungs, hasOtherAudio)
  const inputs = rungs.map((rung) => inputOf(plan, rung, locate))
  const packaged = await packageRungs(job, plan, inputs)
  const others = hasOtherAudio ? await packageOtherAudio(job, plan, packaged.cuts, locate) : []
  const stored: { objectKey: string; fragments: unknown }[] = []
  for (const { path, index } of [...packaged.renditions, ...others]) {
    job.signal.throwIfAborted()
    const objectKey = `${mediaPrefix}/${basename(path)}`
    await needs.media.putFile(objectKey, path, job.signal)
    stored.push({ objectKey, fragments: index })
  }
  const result = resultOf(source.id, mediaPrefix, plan, packaged, others, hasOtherAudio)
  return {
    result,
    async effect(trx, now) {
      await keepIndexes(trx, source.id, stored)
      await showEarly(needs.publication, trx, source, result, now)
      await publishIfDone(needs.publication, trx, source.id, now)
    },
  }
}

/** The finished parts of a source, by name. */
export type ListParts = (sourceId: number) => Promise<Map<string, PartResult>>

async function locateFiles(
  { intermediates, listParts }: ProcessingNeeds & { listParts: ListParts },
  { source, job }: StepRun,
  rungs: string[],
  hasOtherAudio: boolean,
): Promise<Locate> {
  const pictures = new Set(rungs.map((rung) => `${rung}.video.mp4`))
  const isWanted = (file: string): boolean =>
    pictures.has(file) || (hasOtherAudio ? file.startsWith('audio-') : file === 'audio-0.mp4')
  return await fetchFiles(intermediates, job, await listParts(source.id), isWanted)
}

function resultOf(
  sourceId: number,
  prefix: string,
  plan: StoredPlan,
  { renditions, audio: main }: PackagedRungs,
  others: PackagedAudio[],
  hasOtherAudio: boolean,
): PackageResult {
  return {
    renditions: renditions.map((rendition) => ({
      source_id: sourceId,
      quality: rendition.rung,
      object_key: `${prefix}/${basename(rendition.path)}`,
      width: rendition.width,
      height: rendition.height,
      size_bytes: rendition.sizeBytes,
      bitrate_bps: rendition.bitrateBps,
      peak_bps: rendition.peakBps,
      frame_rate: rendition.frameRate,
      codecs: [rendition.videoCodec, ...(main === null ? [] : [main.codec])].join(','),
    })),
    // The main sound is in every rendition, and told of once.
    audioTracks: hasOtherAudio
      ? plan.audio.flatMap((track, position) => {
          const made = position === 0 ? main : others.find((each) => each.position === position)
          return made === null || made === undefined
            ? []
            : trackOf(sourceId, prefix, track, position, made)
        })
      : [],
  }
}

function trackOf(
  sourceId: number,
  prefix: string,
  { file, language, title }: AudioPlan,
  position: number,
  made: Omit<PackagedAudio, 'position' | 'path' | 'sizeBytes' | 'index'> & { sizeBytes?: number },
): AudioTrack {
  return {
    source_id: sourceId,
    position,
    object_key: position === 0 ? null : `${prefix}/${file}`,
    language,
    label: title ?? nameOf(language) ?? `Track ${position + 1}`,
    codec: made.codec,
    channels: made.channels,
    bitrate_bps: made.bitrateBps,
    peak_bps: made.peakBps,
    size_bytes: made.sizeBytes ?? 0,
  }
}

/** In English; null for what has no name. */
export function nameOf(language: string | null): string | null {
  if (language === null) return null
  const names = new Intl.DisplayNames(['en'], { type: 'language', fallback: 'none' })
  return names.of(language) ?? null
}
