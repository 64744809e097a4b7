import { paddedAudioArgs } from './encode-args.ts'
import { MediaFailure } from './failure.ts'
import { run } from './ffmpeg.ts'
import { commandLine, type MediaJob } from './media-job.ts'
import type { AudioPlan } from './plan.ts'
import { reachMs } from './reach.ts'

const MINUTE = 60_000
/** What players forgive. */
const TOLERANCE_MS = 500

/**
 * Makes tracks of sound that end before the picture as long as it. Not while the film is encoded: how long the picture
 * really is, nobody knows before its end. Returns how far the longest track reaches, in ms.
 */
export async function padSound(
  job: MediaJob,
  tracks: AudioPlan[],
  pictureMs: number,
): Promise<number> {
  let longestMs = 0
  for (const track of tracks) {
    const reached = await reachMs(job.workDir, track.file, 'audio', job.signal)
    if (reached < pictureMs - TOLERANCE_MS) await pad(job, track, pictureMs)
    longestMs = Math.max(longestMs, reached)
  }
  return longestMs
}

async function pad(job: MediaJob, track: AudioPlan, pictureMs: number): Promise<void> {
  const args = paddedAudioArgs(track, pictureMs / 1000, job.sourcePath)
  job.onCommand?.(commandLine(job.tools.ffmpegBin, args))
  const { exitCode, stderr } = await run({
    bin: job.tools.ffmpegBin,
    args,
    cwd: job.workDir,
    signal: job.signal,
    limitMs: 15 * MINUTE + pictureMs,
    onProgress: () => undefined,
  })
  if (exitCode === 0) return
  const sentence =
    'The sound of the film could not be brought to the length of its picture. Try again.'
  throw new MediaFailure('verification_failed', sentence, stderr)
}
