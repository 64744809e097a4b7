import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from './ffmpeg.ts'
import { commandLine, type MediaJob } from './media-job.ts'
import type { SourcePlan, SubtitlePlan } from './plan.ts'
import { HARDENED_PROBE } from './whitelist.ts'

const MINUTE = 60_000
const MOST_BYTES = 64 * 1024 * 1024

/**
 * Writes the text subtitles inside a source as WebVTT files, and returns those that have something
 * in them. In a run of its own: broken subtitles must not spoil a film.
 */
export async function extractSubtitles(
  job: MediaJob,
  { subtitles, durationMs }: SourcePlan,
): Promise<{ found: SubtitlePlan[]; output: string }> {
  const args = [
    ...['-hide_banner', '-v', 'error', '-nostdin', '-y'],
    ...['-nostats', '-progress', 'pipe:1', '-stats_period', '0.25'],
    ...[...HARDENED_PROBE, '-i', `file:${job.sourcePath}`],
    ...subtitles.flatMap(({ streamIndex, file }) => [
      ...['-map', `0:${streamIndex}`, '-map_metadata', '-1', '-map_chapters', '-1'],
      ...['-c:s', 'webvtt', '-f', 'webvtt', file],
    ]),
  ]
  job.onCommand?.(commandLine(job.tools.ffmpegBin, args))
  const { stderr } = await run({
    bin: job.tools.ffmpegBin,
    args,
    cwd: job.workDir,
    signal: job.signal,
    limitMs: 10 * MINUTE + durationMs,
    maxFileBytes: MOST_BYTES,
    onProgress: () => undefined,
  })
  const sizes = await Promise.all(subtitles.map(({ file }) => sizeOf(join(job.workDir, file))))
  return { found: subtitles.filter((_, index) => (sizes[index] ?? 0) > 0), output: stderr }
}

async function sizeOf(path: string): Promise<number> {
  return await stat(path).then(
    ({ size }) => size,
    () => 0,
  )
}
