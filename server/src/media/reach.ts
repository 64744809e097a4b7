import { join } from 'node:path'
import { run } from './ffmpeg.ts'
import type { MediaTools } from './tools.ts'
import { HARDENED_PROBE } from './whitelist.ts'

const SECOND = 1000

/**
 * How far the longest of some files that ffmpeg has just written reaches, in ms; 0 where nothing was
 * written. Not what ffmpeg reports as progress: the last report of ffmpeg 7 is up to 1.6 s behind.
 */
export async function reachMs(
  { ffprobeBin }: MediaTools,
  workDir: string,
  files: string[],
  signal: AbortSignal,
): Promise<number> {
  const durations = await Promise.all(
    files.map(async (file) => {
      const args = ['-v', 'error', ...HARDENED_PROBE, '-show_entries', 'format=duration']
      const { stdout } = await run({
        bin: ffprobeBin,
        args: [...args, '-of', 'csv=p=0', '-i', `file:${join(workDir, file)}`],
        signal,
        limitMs: 60 * SECOND,
      })
      return Math.round(Number.parseFloat(stdout) * SECOND) || 0
    }),
  )
  return Math.max(0, ...durations)
}
