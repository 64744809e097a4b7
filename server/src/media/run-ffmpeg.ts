import { run, type Finished, type Run } from './ffmpeg.ts'
import { commandLine, type MediaJob } from './media-job.ts'

/** For tables, and for films of a few pictures: what a file may have beyond what its length allows. */
export const SPARE_BYTES = 64 * 1024 * 1024

/** Runs ffmpeg once in the folder of a job, and tells the job its command. Resolves and throws as `run`. */
export async function runFfmpeg(
  { tools, workDir, signal, onCommand }: MediaJob,
  args: string[],
  limits: Pick<Run, 'limitMs' | 'stallMs' | 'maxFileBytes'>,
  onProgress: NonNullable<Run['onProgress']> = () => undefined,
): Promise<Finished> {
  onCommand?.(commandLine(tools.ffmpegBin, args))
  return await run({ bin: tools.ffmpegBin, args, cwd: workDir, signal, ...limits, onProgress })
}
