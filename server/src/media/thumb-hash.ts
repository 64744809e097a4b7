import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
// oxlint-disable-next-line no-restricted-imports -- Arithmetic on pixels, without imports of its own.
import { rgbaToThumbHash } from 'thumbhash'
import { MediaFailure } from './failure.ts'
import { run } from './ffmpeg.ts'
import type { MediaTools } from './tools.ts'

const LONGEST_SIDE = 100
const PIXELS_FILE = 'thumb-hash.rgba'

interface Picture {
  tools: MediaTools
  workDir: string
  /** Name in `workDir` of a JPEG, `width` × `height`. */
  file: string
  width: number
  height: number
  signal: AbortSignal
}

/**
 * The ThumbHash (https://evanw.github.io/thumbhash/) of a picture, base64: some 25 bytes that look
 * like it from afar. May run again. Throws MediaFailure `verification_failed`.
 */
export async function thumbHash(picture: Picture): Promise<string> {
  const { width, height } = thumbSize(picture)
  const path = join(picture.workDir, PIXELS_FILE)
  const { exitCode, stderr } = await run({
    bin: picture.tools.ffmpegBin,
    args: pixelArgs(picture.file, width, height),
    cwd: picture.workDir,
    signal: picture.signal,
    limitMs: 60_000,
  })
  const pixels = exitCode === 0 ? await readFile(path) : Buffer.alloc(0)
  await rm(path, { force: true })
  if (pixels.length !== width * height * 4) {
    throw new MediaFailure(
      'verification_failed',
      'The poster could not be read. Try again.',
      stderr,
    )
  }
  return Buffer.from(rgbaToThumbHash(width, height, pixels)).toString('base64')
}

/** The algorithm takes no more than 100 pixels a side. */
function thumbSize({ width, height }: Picture): { width: number; height: number } {
  const factor = Math.min(1, LONGEST_SIDE / Math.max(width, height))
  const scaled = (length: number): number => Math.max(1, Math.round(length * factor))
  return { width: scaled(width), height: scaled(height) }
}

function pixelArgs(file: string, width: number, height: number): string[] {
  return [
    ...['-hide_banner', '-v', 'error', '-nostdin', '-y', '-protocol_whitelist', 'file'],
    ...['-codec_whitelist', 'mjpeg', '-f', 'mjpeg', '-i', `file:${file}`],
    ...['-vf', `scale=${width}:${height}:flags=area`, '-frames:v', '1', '-pix_fmt', 'rgba'],
    ...['-f', 'rawvideo', PIXELS_FILE],
  ]
}
