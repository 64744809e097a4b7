import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { copyArgs } from './encode-args.ts'
import type { MediaInfo } from './media-info.ts'
import { progressOf, type SourceJob } from './media-job.ts'
import { describeCopy } from './mp4/describe-copy.ts'
import { padSound } from './pad-sound.ts'
import {
  audioPlans,
  copyCandidate,
  MAX_SECONDS,
  planSource,
  type PlanOptions,
  type SourcePlan,
} from './plan.ts'
import { reachMs } from './reach.ts'
import { runFfmpeg, SPARE_BYTES } from './run-ffmpeg.ts'
import { refuseRunaway, refuseTruncated } from './truncation.ts'

const MINUTE = 60_000

export interface CopiedStreams {
  /** With the copied rung, or without it where it turned out not to be playable as it is. */
  plan: SourcePlan
  /** Names in the working directory: nothing unless there is a copied rung. */
  files: string[]
  output: string
}

/**
 * Copies the picture of a source that may be published as it is, looks at its keyframes, and plans
 * the rest around them. The sound is made along with it. Throws MediaFailure when the file is shorter
 * than it says; whatever else is wrong with it, encoding will tell.
 */
export async function copyStreams(
  job: SourceJob,
  info: MediaInfo,
  options: PlanOptions,
): Promise<CopiedStreams> {
  const candidate = copyCandidate(info, options)
  if (candidate === null) return encodeAll(info, options, '')
  const streams = {
    videoStreamIndex: info.video.streamIndex,
    audio: audioPlans(info),
    maxSeconds: MAX_SECONDS,
  }
  const args = copyArgs(streams, candidate.file, job.sourcePath)
  const limits = {
    limitMs: 15 * MINUTE + 2 * info.durationMs,
    stallMs: job.stallMs,
    maxFileBytes: SPARE_BYTES + 2 * info.sizeBytes,
  }
  const { exitCode, stderr } = await runFfmpeg(job, args, limits, ({ outTimeMs, speed }) => {
    refuseRunaway(info.durationMs, outTimeMs)
    job.onProgress?.(progressOf(outTimeMs, info.durationMs, speed))
  })
  const files = [candidate.file, ...streams.audio.map(({ file }) => file)]
  const isWritten =
    exitCode === 0 && !complainsOfStreams(stderr) && (await exist(job.workDir, files))
  if (!isWritten) return await discard(job, files, info, options, stderr)
  const copied = await describeCopy(join(job.workDir, candidate.file), job.signal)
  const plan = planSource(info, options, copied)
  if (plan.copied === null) return await discard(job, files, info, options, stderr)
  const pictureMs = await reachMs(job.workDir, candidate.file, 'video', job.signal)
  const reached = Math.max(pictureMs, await padSound(job, streams.audio, pictureMs))
  refuseTruncated(info.durationMs, reached)
  return { plan, files, output: stderr }
}

/** Any complaint counts, but those about decoders of other streams, which are not needed. */
function complainsOfStreams(stderr: string): boolean {
  return stderr.split('\n').some((line) => line.trim() !== '' && !/not on whitelist/.test(line))
}

/** An exit code of 0 says little. */
async function exist(folder: string, files: string[]): Promise<boolean> {
  const there = new Set(await readdir(folder))
  return files.every((file) => there.has(file))
}

async function discard(
  job: SourceJob,
  files: string[],
  info: MediaInfo,
  options: PlanOptions,
  output: string,
): Promise<CopiedStreams> {
  await Promise.all(files.map((file) => rm(join(job.workDir, file), { force: true })))
  return encodeAll(info, options, output)
}

function encodeAll(info: MediaInfo, options: PlanOptions, output: string): CopiedStreams {
  return { plan: planSource(info, { ...options, mayCopy: false }), files: [], output }
}
