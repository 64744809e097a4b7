import { mkdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { needsColorTools } from './color.ts'
import { copyStreams } from './copy-streams.ts'
import { encodePart } from './encode.ts'
import { extractSubtitles } from './extract-subtitles.ts'
import type { MediaInfo } from './media-info.ts'
import type { MediaJob } from './media-job.ts'
import { packageAudio, packageRungs, type PackagedAudio, type Rendition } from './package-rungs.ts'
import { COPY_PART } from './parts.ts'
import type { PlanOptions, SourcePlan, SubtitlePlan } from './plan.ts'
import { probe } from './probe.ts'
import { inputOf, rungNames, soundPath, type Locate } from './rung-input.ts'
import { finishStills, type Stills } from './stills.ts'
import { inspectTools, type MediaTools } from './tools.ts'

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
  onProgress?: NonNullable<MediaJob['onProgress']>
  onCommand?: NonNullable<MediaJob['onCommand']>
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
  const job: MediaJob = { ...rest, threads, stallMs: 120_000 }
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
  const otherAudio = await packageOthers(job, plan, cuts, locate)
  const posterPath = join(stillsJob.workDir, stills.posterFile)
  return { info, plan, renditions, otherAudio, subtitles: subtitles.found, posterPath, stills }
}

/** What a plan depends on besides the source: settings, and what the installed ffmpeg can do. */
export async function planOptions(
  tools: MediaTools,
  { video }: MediaInfo,
  given: Partial<PlanOptions> = {},
): Promise<PlanOptions> {
  return {
    mayCopy: true,
    chunkMinDurationMs: Infinity,
    canToneMap: needsColorTools(video) && (await inspectTools(tools)).canToneMap,
    ...given,
  }
}

async function within(job: MediaJob, part: string): Promise<MediaJob> {
  const workDir = join(job.workDir, folderOf(part))
  await mkdir(workDir, { recursive: true })
  return { ...job, workDir }
}

function folderOf(part: string): string {
  return part.replaceAll(/[^a-z0-9]/g, '-')
}

async function packageOthers(
  job: MediaJob,
  plan: SourcePlan,
  cuts: number[],
  locate: Locate,
): Promise<PackagedAudio[]> {
  const packaged: PackagedAudio[] = []
  for (const position of plan.audio.keys()) {
    const audioPath = position === 0 ? null : soundPath(plan, position, locate)
    if (audioPath === null) continue
    packaged.push(await packageAudio(job, { audioPath, file: `audio-${position}.mp4`, cuts }))
  }
  return packaged
}
