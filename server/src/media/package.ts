import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { MediaFailure } from './failure.ts'
import { run } from './ffmpeg.ts'
import type { MediaTools } from './tools.ts'

const MINUTE = 60_000

export interface PackagedRung {
  tools: MediaTools
  workDir: string
  /** Names in `workDir`. Video alone, and sound alone if there is any; both begin at 0. */
  videoFile: string
  audioFile: string | null
  /** Name in `workDir` of what is published. */
  outputFile: string
  signal: AbortSignal
}

/**
 * Joins the picture of one rung with the sound that all rungs share into the file that is
 * published: a progressive MP4 whose index comes first. Nothing is encoded. The video file is
 * removed, the sound stays for the other rungs. Safe to run side by side.
 */
export async function packageRung(rung: PackagedRung): Promise<void> {
  const { exitCode, stderr } = await run({
    bin: rung.tools.ffmpegBin,
    args: packageArgs(rung),
    cwd: rung.workDir,
    signal: rung.signal,
    limitMs: 30 * MINUTE,
  })
  if (exitCode !== 0) {
    const sentence = 'The converted film could not be written. Try again.'
    throw new MediaFailure('verification_failed', sentence, stderr)
  }
  await rm(join(rung.workDir, rung.videoFile))
}

/** `-copyts`: ffmpeg would move each input to begin at 0 by itself, and sound away from picture. */
export function packageArgs(
  rung: Pick<PackagedRung, 'videoFile' | 'audioFile' | 'outputFile'>,
): string[] {
  const inputs = [rung.videoFile, ...(rung.audioFile === null ? [] : [rung.audioFile])]
  return [
    ...['-hide_banner', '-v', 'error', '-nostdin', '-y', '-copyts'],
    ...inputs.flatMap((file) => ['-protocol_whitelist', 'file', '-i', `file:${file}`]),
    ...inputs.flatMap((_, index) => ['-map', `${index}:0`]),
    ...['-c', 'copy', '-map_metadata', '-1', '-map_chapters', '-1', '-fflags', '+bitexact'],
    ...['-movflags', '+faststart', '-f', 'mp4', rung.outputFile],
  ]
}
