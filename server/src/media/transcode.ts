import { mkdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { copyStreams } from './copy-streams.ts'
import { encodePart } from './encode.ts'
import { extractSubtitles } from './extract-subtitles.ts'
import type { MediaInfo } from './media-info.ts'
import type { SourceJob } from './media-job.ts'
import {
  packageOtherAudio,
  packageRungs,
  type PackagedAudio,
  type Rendition,
} from './package-rungs.ts'
import { COPY_PART } from './parts.ts'
import { planOptions } from './plan-options.ts'
import type { PlanOptions, SourcePlan, SubtitlePlan } from './plan.ts'
import { probe } from './probe.ts'
import { inputOf, rungNames, type Locate } from './rung-input.ts'
import { finishStills, type Stills } from './stills.ts'
import type { MediaTools } from './tools.ts'

export interface Transcoding {
  tools: MediaTools
  /** Absolute. */
  sourcePath: string
  /** Exists and is empty. Everything is written here; removing it is the caller's. */
  workDir: string
  /** Aborting kills ffmpeg, and rejects with the signal's reason once it is gone. */
  signal: AbortSignal
  /** Cores to use; all of them if not told. */
  threads?: number
  options?: Partial<PlanOptions>
  onProgress?: NonNullable<SourceJob['onProgress']>
  onCommand?: NonNullable<SourceJob['onCommand']>
}

export interface ProcessedMedia {
  info: MediaInfo
  plan: SourcePlan
  /** Smallest first, at least one. */
  renditions: Rendition[]
  /** Sound in further languages. */
  otherAudio: PackagedAudio[]
  subtitles: SubtitlePlan[]
  posterPath: string
  stills: Stills
}

/**
 * From a source to verified files, all in this process and one after the other: probe → copy →
 * encode → package → verify. Workers do the same as tasks (`processing/`). Throws MediaFailure
 * with a sentence for the uploader.
 */
export async function transcode(given: Transcoding): Promise<ProcessedMedia> {
  const { options: wished, ...rest } = given
  const threads = given.threads ?? availableParallelism()
  const job: SourceJob = { ...rest, threads, stallMs: 120_000 }
  const info = await probe(job.tools, job.sourcePath, job.signal)
  const options = await planOptions(job.tools, info, wished)
  const { plan } = await copyStreams(await within(job, COPY_PART), info, options)
  const empty = new Set<string>()
  for (const part of plan.parts) {
    const { files } = await encodePart(await within(job, part.name), plan, part)
    if (files.length === 0) empty.add(part.name)
  }
  const locate: Locate = (part, file) =>
    empty.has(part) ? null : join(job.workDir, folderOf(part), file)
  const stillsJob = await within(job, plan.parts.find(({ hasStills }) => hasStills)?.name ?? '')
  const stills = await finishStills(stillsJob, plan)
  const subtitles = plan.subtitles.length > 0 ? await extractSubtitles(job, plan) : { found: [] }
  const inputs = rungNames(plan).map((rung) => inputOf(plan, rung, locate))
  const { renditions, cuts } = await packageRungs(job, plan, inputs)
  const otherAudio = await packageOtherAudio(job, plan, cuts, locate)
  const posterPath = join(stillsJob.workDir, stills.posterFile)
  return { info, plan, renditions, otherAudio, subtitles: subtitles.found, posterPath, stills }
}

async function within(job: SourceJob, part: string): Promise<SourceJob> {
  const workDir = join(job.workDir, folderOf(part))
  await mkdir(workDir, { recursive: true })
  return { ...job, workDir }
}

function folderOf(part: string): string {
  return part.replaceAll(/[^a-z0-9]/g, '-')
}
