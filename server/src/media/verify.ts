import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { MediaFailure } from './failure.ts'
import { run } from './ffmpeg.ts'
import type { MediaTools } from './tools.ts'
import { HARDENED_INPUT, HARDENED_PROBE } from './whitelist.ts'

const SECOND = 1000

export interface Expected {
  tools: MediaTools
  workDir: string
  rungs: { name: string; file: string; width: number; height: number }[]
  hasAudio: boolean
  /** How far the encoder's output reached, picture or sound. */
  encodedMs: number
  signal: AbortSignal
}

export interface VerifiedFile {
  sizeBytes: number
  durationMs: number
}

/**
 * Looks at every file again, as an exit code of 0 proves nothing: format, size, duration, number
 * of pictures, sound, and that its first and its last pictures decode. The results are in the
 * order of `rungs`. Throws MediaFailure `verification_failed`.
 */
export async function verify(expected: Expected): Promise<VerifiedFile[]> {
  const [files] = await Promise.all([
    Promise.all(expected.rungs.map((rung) => verifyFile(expected, rung))),
    verifyEnds(expected),
  ])
  return files
}

const real = z.coerce.number()
const answerShape = z.object({
  format: z.object({ duration: real }),
  streams: z.array(
    z.object({
      codec_type: z.string(),
      codec_name: z.string(),
      pix_fmt: z.string().optional(),
      width: z.int().optional(),
      height: z.int().optional(),
      sample_aspect_ratio: z.string().optional(),
      nb_frames: real.optional(),
      channels: z.int().optional(),
    }),
  ),
})

async function verifyFile(
  expected: Expected,
  rung: Expected['rungs'][number],
): Promise<VerifiedFile> {
  const { stdout, stderr } = await run({
    bin: expected.tools.ffprobeBin,
    args: [
      ...['-v', 'error', ...HARDENED_PROBE, '-of', 'json=c=1', '-show_entries'],
      'format=duration:stream=codec_type,codec_name,pix_fmt,width,height,sample_aspect_ratio,nb_frames,channels',
      ...['-i', `file:${rung.file}`],
    ],
    cwd: expected.workDir,
    signal: expected.signal,
    limitMs: 60 * SECOND,
  })
  const answer = answerShape.safeParse(json(stdout))
  if (!answer.success) throw wrong(rung.name, 'it cannot be read', stderr)
  const { format, streams } = answer.data
  const video = streams.find((stream) => stream.codec_type === 'video')
  const audio = streams.find((stream) => stream.codec_type === 'audio')
  const durationMs = Math.round(format.duration * SECOND)
  const faults = {
    'it has another codec': video?.codec_name !== 'h264' || video.pix_fmt !== 'yuv420p',
    'it has another size': video?.width !== rung.width || video.height !== rung.height,
    'its pixels are not square': !['1:1', undefined, 'N/A'].includes(video?.sample_aspect_ratio),
    'it has no pictures': !((video?.nb_frames ?? 0) > 0),
    'its sound is missing': expected.hasAudio && audio?.codec_name !== 'aac',
    'it has sound from nowhere': !expected.hasAudio && audio !== undefined,
    'it has another duration':
      Math.abs(durationMs - expected.encodedMs) > Math.max(0.5 * SECOND, expected.encodedMs / 50),
  }
  const fault = Object.entries(faults).find(([, found]) => found)
  if (fault !== undefined) throw wrong(rung.name, fault[0], stdout)
  const { size: sizeBytes } = await stat(join(expected.workDir, rung.file))
  return { sizeBytes, durationMs }
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * All first pictures and last keyframes by one process: what follows those would have to be decoded
 * whole. What fails to decode is told on stderr. `-t`, not `-frames`: with several inputs, ffmpeg 5.1
 * reads on to the end after the last frame wanted.
 */
async function verifyEnds(expected: Expected): Promise<void> {
  const lastSecond = Math.max(0, expected.encodedMs / SECOND - 1)
  const inputs = expected.rungs.flatMap(({ file }) => [
    ...[...HARDENED_INPUT, '-threads', '1', '-t', '0.1', '-i', `file:${file}`],
    ...[...HARDENED_INPUT, '-threads', '1', '-skip_frame', 'nokey', '-noaccurate_seek'],
    ...['-ss', String(lastSecond), '-i', `file:${file}`],
  ])
  const outputs = inputs
    .filter((argument) => argument === '-i')
    .flatMap((_, index) => ['-map', `${index}:v`, '-f', 'null', '-'])
  const { exitCode, stderr } = await run({
    bin: expected.tools.ffmpegBin,
    args: ['-hide_banner', '-v', 'error', '-nostdin', ...inputs, ...outputs],
    cwd: expected.workDir,
    signal: expected.signal,
    limitMs: 5 * 60 * SECOND,
  })
  if (exitCode !== 0 || stderr.trim() !== '') throw wrong('film', 'it does not decode', stderr)
}

/** A JPEG from its first marker to its last. Throws MediaFailure `verification_failed`. */
export async function verifyPoster(workDir: string): Promise<void> {
  const bytes = await readFile(join(workDir, 'poster.jpg'))
  const whole = bytes.length > 4 && bytes.readUInt16BE(0) === 0xffd8
  if (!whole || bytes.readUInt16BE(bytes.length - 2) !== 0xffd9) {
    throw wrong('poster', 'it is not a whole picture')
  }
}

function wrong(name: string, fault: string, detail?: string): MediaFailure {
  return new MediaFailure(
    'verification_failed',
    `The converted film is not as it should be (${name}: ${fault}). Convert the film to H.264 and AAC, then upload it again.`,
    detail,
  )
}
