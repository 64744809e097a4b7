import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { QUIET } from './encode-args.ts'
import type { SourceJob } from './media-job.ts'
import type { SourcePlan, SubtitlePlan } from './plan.ts'
import { runFfmpeg } from './run-ffmpeg.ts'
import { HARDENED_PROBE } from './whitelist.ts'

const MINUTE = 60_000
const MOST_BYTES = 64 * 1024 * 1024

/**
 * Writes the text subtitles inside a source as WebVTT files, and returns those that have something
 * in them. In a run of its own: broken subtitles must not spoil a film.
 */
export async function extractSubtitles(
  job: SourceJob,
  { subtitles, durationMs }: SourcePlan,
): Promise<{ found: SubtitlePlan[]; output: string }> {
  const args = [
    ...QUIET,
    ...[...HARDENED_PROBE, '-i', `file:${job.sourcePath}`],
    ...subtitles.flatMap(({ streamIndex, file }) => [
      ...['-map', `0:${streamIndex}`, '-map_metadata', '-1', '-map_chapters', '-1'],
      ...['-c:s', 'webvtt', '-f', 'webvtt', file],
    ]),
  ]
  const limits = { limitMs: 10 * MINUTE + durationMs, maxFileBytes: MOST_BYTES }
  const { stderr } = await runFfmpeg(job, args, limits)
  const sizes = await Promise.all(subtitles.map(({ file }) => sizeOf(join(job.workDir, file))))
  return { found: subtitles.filter((_, index) => (sizes[index] ?? 0) > 0), output: stderr }
}

async function sizeOf(path: string): Promise<number> {
  return await stat(path).then(
    ({ size }) => size,
    () => 0,
  )
}
