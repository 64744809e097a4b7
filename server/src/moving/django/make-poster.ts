import { open, readdir, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../media/ffmpeg.ts'
import { keepBestPoster, POSTER_FILE } from '../../media/poster.ts'
import type { MediaTools } from '../../media/tools.ts'
import { verifyPoster } from '../../media/verify.ts'
import { HARDENED_INPUT, MAX_PIXELS } from '../../media/whitelist.ts'
import type { ProbedFilm } from './probe-film.ts'

interface PosterJob {
  tools: MediaTools
  /** Must exist; `poster.jpg` is left in it. */
  workDir: string
  signal: AbortSignal
}

const MINUTE = 60_000
/** No wider than ours are, never larger than it was. */
const SCALED = [
  '-vf',
  "scale='min(1280,iw)':'max(2,2*round(ow/a/2))'",
  '-frames:v',
  '1',
  '-q:v',
  '3',
]
const QUIETLY = ['-hide_banner', '-v', 'error', '-nostdin', '-y']

/** From a picture that somebody chose, or null where it is none: a JPEG without what cameras write into theirs. */
export async function posterOfPicture(job: PosterJob, path: string): Promise<string | null> {
  const kind = await kindOf(path)
  if (kind === null) return null
  const { demuxer, decoder } = kind
  const input = [
    ...['-protocol_whitelist', 'file', '-format_whitelist', demuxer],
    ...['-codec_whitelist', decoder, '-max_pixels', String(MAX_PIXELS)],
    ...['-f', demuxer, '-i', `file:${path}`],
  ]
  await run({
    bin: job.tools.ffmpegBin,
    args: [...QUIETLY, ...input, ...SCALED, '-map_metadata', '-1', '-f', 'image2', 'poster-1.jpg'],
    cwd: job.workDir,
    signal: job.signal,
    limitMs: MINUTE,
  })
  const made = await stat(join(job.workDir, 'poster-1.jpg')).catch(() => null)
  if (!made || made.size === 0) return null
  await rename(join(job.workDir, 'poster-1.jpg'), join(job.workDir, POSTER_FILE))
  return await verified(job)
}

/** Of three pictures of the film the one with the most to see, or null where none can be decoded. */
export async function posterOfFilm(
  job: PosterJob,
  { path, info }: ProbedFilm,
): Promise<string | null> {
  const seconds = [0.1, 0.3, 0.5].map((share) => (share * info.durationMs) / 1000)
  const inputs = seconds.flatMap((at) => [
    ...[...HARDENED_INPUT, '-threads', '1', '-ss', at.toFixed(3), '-i', `file:${path}`],
  ])
  const outputs = seconds.flatMap((_, index) => [
    ...['-map', `${index}:v:0`, ...SCALED, '-f', 'image2', '-update', '1'],
    `poster-${index + 1}.jpg`,
  ])
  await run({
    bin: job.tools.ffmpegBin,
    args: [...QUIETLY, ...inputs, ...outputs],
    cwd: job.workDir,
    signal: job.signal,
    limitMs: 5 * MINUTE,
  })
  if ((await readdir(job.workDir)).length === 0) return null
  await keepBestPoster(job.workDir)
  return await verified(job)
}

async function verified({ workDir }: PosterJob): Promise<string> {
  await verifyPoster(workDir)
  return join(workDir, POSTER_FILE)
}

/** By its first bytes: names lie. */
async function kindOf(path: string): Promise<{ demuxer: string; decoder: string } | null> {
  await using file = await open(path, 'r')
  const head = Buffer.alloc(12)
  await file.read(head, 0, head.length, 0)
  const start = head.toString('latin1')
  if (start.startsWith('\xff\xd8\xff')) return { demuxer: 'jpeg_pipe', decoder: 'mjpeg' }
  if (start.startsWith('\x89PNG')) return { demuxer: 'png_pipe', decoder: 'png' }
  if (start.startsWith('GIF8')) return { demuxer: 'gif', decoder: 'gif' }
  const isWebp = start.startsWith('RIFF') && start.slice(8) === 'WEBP'
  return isWebp ? { demuxer: 'webp_pipe', decoder: 'webp' } : null
}
