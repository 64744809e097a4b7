import { paddedAudioArgs } from './encode-args.ts'
import { MediaFailure } from './failure.ts'
import type { SourceJob } from './media-job.ts'
import type { AudioPlan } from './plan.ts'
import { reachMs } from './reach.ts'
import { runFfmpeg } from './run-ffmpeg.ts'

const MINUTE = 60_000
/** What players forgive. */
const TOLERANCE_MS = 500

/**
 * Makes tracks of sound that end before the picture as long as it. Not while the film is encoded: how long the picture
 * really is, nobody knows before its end. Returns how far the longest track reaches, in ms.
 */
export async function padSound(
  job: SourceJob,
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

async function pad(job: SourceJob, track: AudioPlan, pictureMs: number): Promise<void> {
  const args = paddedAudioArgs(track, pictureMs / 1000, job.sourcePath)
  const { exitCode, stderr } = await runFfmpeg(job, args, { limitMs: 15 * MINUTE + pictureMs })
  if (exitCode === 0) return
  const sentence =
    'The sound of the film could not be brought to the length of its picture. Try again.'
  throw new MediaFailure('verification_failed', sentence, stderr)
}
