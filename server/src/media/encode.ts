import { encodeArgs } from './encode-args.ts'
import { MediaFailure } from './failure.ts'
import { progressOf, type SourceJob } from './media-job.ts'
import { padSound } from './pad-sound.ts'
import type { EncodePart } from './parts.ts'
import type { SourcePlan } from './plan.ts'
import { tooManyPixels } from './choose-streams.ts'
import { reachMs } from './reach.ts'
import { runFfmpeg, SPARE_BYTES } from './run-ffmpeg.ts'
import { refuseRunaway, refuseTruncated } from './truncation.ts'
import { complainsOfSize } from './whitelist.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND

export interface EncodedPart {
  /** Names in the working directory. Of a chunk in which the film has no frame: none. */
  files: string[]
  /** The last that ffmpeg wrote. */
  output: string
}

/**
 * Runs the encoder once. Throws MediaFailure with a sentence for the uploader. May be run again, in
 * another empty directory.
 */
export async function encodePart(
  job: SourceJob,
  plan: SourcePlan,
  part: EncodePart,
): Promise<EncodedPart> {
  const args = encodeArgs({ plan, part, threads: job.threads }, job.sourcePath)
  const expectedMs = lengthMs(plan, part)
  let reportedMs = 0
  const limits = {
    limitMs: 15 * MINUTE + 30 * expectedMs,
    stallMs: job.stallMs,
    ...mostBytes(plan, expectedMs),
  }
  const { exitCode, stderr } = await runFfmpeg(job, args, limits, ({ outTimeMs, speed }) => {
    reportedMs = Math.max(reportedMs, outTimeMs)
    refuseRunaway(expectedMs, reportedMs)
    job.onProgress?.(progressOf(reportedMs, expectedMs, speed))
  })
  if (exitCode !== 0 && !isEmptyChunk(part, stderr)) throw undecodable(stderr)
  const files = filesOf(plan, part)
  if (files.length === 0) return { files, output: stderr }
  // One picture, as all rungs have the same times.
  const picture = files.findLast(isVideo)
  const pictureMs =
    picture === undefined ? 0 : await reachMs(job.workDir, picture, 'video', job.signal)
  if (pictureMs === 0 && isLater(part)) return { files: [], output: stderr }
  const soundMs = part.hasAudio ? await padSound(job, plan.audio, pictureMs) : 0
  const reached = Math.max(pictureMs, soundMs)
  if (reached === 0) throw undecodable(stderr)
  refuseRunaway(expectedMs, reached)
  // A picture alone may be shorter than the film; packaging sees both.
  if (part.hasAudio || plan.audio.length === 0) refuseTruncated(expectedMs, reached)
  return { files, output: stderr }
}

/** What is to be expected of a part; 0 where it is unknown. */
function lengthMs({ durationMs }: SourcePlan, { range }: EncodePart): number {
  if (range === null || durationMs === 0) return durationMs
  return Math.max(
    SECOND,
    Math.min(durationMs, (range.to ?? Infinity) * SECOND) - range.from * SECOND,
  )
}

/** Twice what the highest rate allows; without a bound where the length is unknown. */
function mostBytes({ rungs }: SourcePlan, expectedMs: number): { maxFileBytes?: number } {
  if (expectedMs === 0) return {}
  const highestBps = Math.max(1_000_000, ...rungs.map(({ maxrateBps }) => maxrateBps))
  return { maxFileBytes: SPARE_BYTES + Math.ceil((2 * highestBps * expectedMs) / 8000) }
}

function filesOf(plan: SourcePlan, part: EncodePart): string[] {
  const rungs = plan.rungs.filter(({ name }) => part.rungs.includes(name))
  return [...rungs, ...(part.hasAudio ? plan.audio : [])].map(({ file }) => file)
}

function isVideo(file: string): boolean {
  return file.endsWith('.video.mp4')
}

/** Where pictures stand for minutes, a later chunk may have none. */
function isLater({ range }: EncodePart): boolean {
  return range !== null && range.from > 0
}

/** ffmpeg 7 does not end well when there was nothing to encode. */
function isEmptyChunk(part: EncodePart, stderr: string): boolean {
  return isLater(part) && /Could not open encoder before EOF/.test(stderr)
}

export function undecodable(stderr: string): MediaFailure {
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
