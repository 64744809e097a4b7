import { join } from 'node:path'
import { MediaFailure } from './failure.ts'
import { readTrack } from './mp4/read/read-track.ts'
import { endTicks } from './mp4/track.ts'

/**
 * How far one track that ffmpeg has just written reaches, in ms; 0 where nothing was written that can be read. Not what
 * ffmpeg reports as progress: the last report of ffmpeg 7 is up to 1.6 s behind.
 */
export async function reachMs(
  workDir: string,
  file: string,
  kind: 'video' | 'audio',
  signal: AbortSignal,
): Promise<number> {
  try {
    const track = await readTrack(join(workDir, file), kind, signal)
    return Math.round((endTicks(track) / track.timescale) * 1000)
  } catch (error) {
    if (error instanceof MediaFailure || isMissing(error)) return 0
    throw error
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT'
}
