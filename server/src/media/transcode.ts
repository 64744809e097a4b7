import { rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { MediaFailure } from './failure.ts'
import { encodeArgs } from './ffmpeg-args.ts'
import { run } from './ffmpeg.ts'
import { ladder } from './ladder.ts'
import type { MediaInfo } from './media-info.ts'
import { packageRung } from './package.ts'
import { plan, type EncodePlan } from './plan.ts'
import { keepBestPoster, POSTER_FILE } from './poster.ts'
import { probe, tooManyPixels } from './probe.ts'
import { reachMs } from './reach.ts'
import { StepProgress, type TranscodeProgress } from './step-progress.ts'
import { inspectTools, type MediaTools } from './tools.ts'
import { refuseTruncated, verify } from './verify.ts'
import { complainsOfSize } from './whitelist.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const STALL_MS = 2 * MINUTE

export interface Transcoding {
  tools: MediaTools
  /** Absolute. */
  sourcePath: string
  /** Exists and is empty. Everything is written here; removing it is the caller's. */
  workDir: string
  /** Aborting kills ffmpeg, and rejects with the signal's reason once it is gone. */
  signal: AbortSignal
  /** Shorter sides of the ladder. */
  rungs?: readonly number[]
  /** Cores to use; all of them if not told. */
  threads?: number
  /** At most four times a second. */
  onProgress?: (progress: TranscodeProgress) => void
}

export interface Rendition {
  /** Quality it is asked for by: `720p`. Its size may be smaller. */
  rung: string
  path: string
  width: number
  height: number
  sizeBytes: number
  durationMs: number
  bitrateBps: number
  /** RFC 6381, such as `avc1.640028`. */
  videoCodec: string
  hasAudio: boolean
}

export interface ProcessedMedia {
  info: MediaInfo
  /** Smallest first, at least one. */
  renditions: Rendition[]
  posterPath: string
  posterWidth: number
  posterHeight: number
}

/**
 * From a source to verified files: probe → ladder → plan → encode → package → verify. Throws
 * MediaFailure with a sentence for the uploader. May be run again, in another empty directory.
 */
export async function transcode(job: Transcoding): Promise<ProcessedMedia> {
  const progress = new StepProgress(job.onProgress)
  progress.enter('probe')
  const info = await probe(job.tools, job.sourcePath, job.signal)
  const planned = plan(info, ladder(info, job.rungs), {
    threads: job.threads ?? availableParallelism(),
    canToneMap: needsColorTools(info) && (await inspectTools(job.tools)).canToneMap,
  })

  progress.enter('encode')
  const encodedMs = await encode(job, planned, info, progress)
  await keepBestPoster(job.workDir)

  progress.enter('package')
  await packageAll(job, planned)

  progress.enter('verify')
  const renditions = await verifyAll(job, planned, encodedMs)
  progress.done()
  return {
    info,
    renditions,
    posterPath: join(job.workDir, POSTER_FILE),
    posterWidth: planned.poster.width,
    posterHeight: planned.poster.height,
  }
}

function needsColorTools({ video }: MediaInfo): boolean {
  return video.isHdr || video.colorSpace === 'bt2020nc'
}

/** Returns how far the output reaches, in ms. */
async function encode(
  job: Transcoding,
  planned: EncodePlan,
  info: MediaInfo,
  progress: StepProgress,
): Promise<number> {
  let reportedMs = 0
  const { exitCode, stderr } = await run({
    bin: job.tools.ffmpegBin,
    args: encodeArgs(planned, job.sourcePath),
    cwd: job.workDir,
    signal: job.signal,
    limitMs: 15 * MINUTE + 30 * info.durationMs,
    stallMs: STALL_MS,
    onProgress: ({ outTimeMs, speed }) => {
      reportedMs = Math.max(reportedMs, outTimeMs)
      refuseRunaway(info.durationMs, reportedMs)
      progress.encoded(reportedMs, info.durationMs, speed)
    },
  })
  if (exitCode !== 0) throw undecodable(stderr)
  const decodedMs = await reachMs(job.tools, job.workDir, encodedFiles(planned), job.signal)
  if (decodedMs === 0) throw undecodable(stderr)
  refuseRunaway(info.durationMs, decodedMs)
  refuseTruncated(info.durationMs, decodedMs)
  return decodedMs
}

/** One picture, as all rungs have the same times, and the sound. */
function encodedFiles({ rungs, audio }: EncodePlan): string[] {
  return [...rungs.slice(-1), ...(audio === null ? [] : [audio])].map(({ file }) => file)
}

/** A file of 1 KB can claim a second and spread two frames over a day. */
function refuseRunaway(declaredMs: number, encodedMs: number): void {
  if (declaredMs === 0 || encodedMs <= 2 * declaredMs + MINUTE) return
  const told = (ms: number): string => `${Math.round(ms / SECOND)} s`
  throw new MediaFailure(
    'broken_timestamps',
    `The film claims to last ${told(declaredMs)}, but its pictures reach beyond ${told(encodedMs)}. Repair its timestamps, or export it again.`,
  )
}

function undecodable(stderr: string): MediaFailure {
  if (complainsOfSize(stderr)) return tooManyPixels()
  if (/Option not found|No such filter|Unknown encoder|Unrecognized option/.test(stderr)) {
    const lacking =
      'The installed ffmpeg lacks what is needed. Try again when it has been replaced.'
    return new MediaFailure('tool_missing', lacking, stderr)
  }
  const sentence =
    'The film cannot be decoded. Check that it plays, convert it to MP4, then upload it again.'
  return new MediaFailure('undecodable', sentence, stderr)
}

async function packageAll(job: Transcoding, planned: EncodePlan): Promise<void> {
  await Promise.all(
    planned.rungs.map((rung) =>
      packageRung({
        tools: job.tools,
        workDir: job.workDir,
        videoFile: rung.file,
        audioFile: planned.audio?.file ?? null,
        outputFile: published(rung.name),
        signal: job.signal,
      }),
    ),
  )
  if (planned.audio !== null) await rm(join(job.workDir, planned.audio.file))
}

async function verifyAll(
  job: Transcoding,
  planned: EncodePlan,
  encodedMs: number,
): Promise<Rendition[]> {
  const hasAudio = planned.audio !== null
  const rungs = planned.rungs.toReversed().map((rung) => ({ ...rung, file: published(rung.name) }))
  const { tools, workDir, signal } = job
  const files = await verify({ tools, workDir, rungs, hasAudio, encodedMs, signal })
  return rungs.flatMap(({ name, file, width, height }, index) => {
    const verified = files[index]
    if (verified === undefined) return []
    return [{ rung: name, path: join(workDir, file), width, height, hasAudio, ...verified }]
  })
}

function published(rung: string): string {
  return `${rung}.mp4`
}
