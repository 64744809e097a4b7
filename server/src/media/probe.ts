import { stat } from 'node:fs/promises'
import { toChapters } from './chapters.ts'
import {
  chooseAudio,
  chooseSubtitles,
  chooseVideo,
  tooManyPixels,
  unsupportedCodec,
} from './choose-streams.ts'
import { MediaFailure } from './failure.ts'
import { run } from './ffmpeg.ts'
import type { MediaInfo } from './media-info.ts'
import {
  described,
  PROBE_ENTRIES,
  streamSeconds,
  toAudio,
  toSubtitle,
  toVideo,
  type Described,
  type Stream,
} from './probe-answer.ts'
import { signature } from './signature.ts'
import type { MediaTools } from './tools.ts'
import { complainsOfSize, HARDENED_INPUT, HARDENED_PROBE } from './whitelist.ts'

const SECOND = 1000
const HOUR = 3600 * SECOND
const LONGEST_MS = 12 * HOUR

/**
 * What the source is, by its content. Opens nothing but `path`, which must be absolute. Reads the
 * whole file only where it does not tell its duration. Throws MediaFailure for everything that is
 * not a film we can process.
 */
export async function probe(
  tools: MediaTools,
  path: string,
  signal: AbortSignal,
): Promise<MediaInfo> {
  const { size } = await stat(path)
  await refuseBySignature(path)
  const { format, streams, chapters } = await describe(tools, path, signal)
  const video = chooseVideo(streams)
  const [audio = null, ...otherAudio] = chooseAudio(streams)
  const declaredMs = declaredDurationMs(format, [video, audio])
  const durationMs = declaredMs ?? (await scannedDurationMs(tools, path, video.index, signal))
  if (durationMs > LONGEST_MS) throw tooLong(durationMs)
  return {
    container: format.format_name,
    durationMs,
    sizeBytes: size,
    video: toVideo(video),
    audio: audio === null ? null : toAudio(audio),
    otherAudio: otherAudio.map(toAudio),
    subtitles: chooseSubtitles(streams).map(toSubtitle),
    chapters: toChapters(chapters, durationMs),
  }
}

async function refuseBySignature(path: string): Promise<void> {
  switch (await signature(path)) {
    case 'empty':
      throw new MediaFailure(
        'empty_file',
        'The file is empty. Choose another one, or export it again.',
      )
    case 'picture':
      throw new MediaFailure('still_picture', 'The file is a picture, not a film. Upload a film.')
    case 'text':
      throw new MediaFailure('not_a_video', 'The file contains text, not a film. Upload a film.')
    case 'mp4_without_index':
      throw new MediaFailure(
        'truncated',
        'The file is incomplete: its index, which comes last, is missing. Upload it again.',
      )
    case 'unknown':
  }
}

async function describe(
  { ffprobeBin }: MediaTools,
  path: string,
  signal: AbortSignal,
): Promise<Described> {
  const { stdout, stderr } = await run({
    bin: ffprobeBin,
    args: [
      ...['-v', 'error', ...HARDENED_PROBE, '-of', 'json=c=1', '-show_entries', PROBE_ENTRIES],
      ...['-i', `file:${path}`],
    ],
    signal,
    limitMs: 60 * SECOND,
  })
  const answer = described.safeParse(parsed(stdout))
  if (!answer.success) throw unreadable(stderr)
  if (complainsOfSize(stderr)) throw tooManyPixels()
  return answer.data
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

/** ffprobe says only on stderr whether it knows the format and may not open it. */
function unreadable(stderr: string): MediaFailure {
  if (complainsOfSize(stderr)) return tooManyPixels()
  const codec = /Codec \((\w+)\) not on whitelist/.exec(stderr)
  if (codec !== null) return unsupportedCodec('film', codec[1])
  return /Format not on whitelist/i.test(stderr)
    ? new MediaFailure(
        'unsupported_format',
        'This kind of file is not accepted. Convert it to MP4, then upload it again.',
        stderr,
      )
    : new MediaFailure(
        'not_a_video',
        'The file is not a film, or it is damaged from its very start. Check that it plays, then upload it again.',
        stderr,
      )
}

function tooLong(durationMs: number): MediaFailure {
  const hours = (durationMs / HOUR).toFixed(1)
  return new MediaFailure(
    'too_long',
    `The film lasts ${hours} h by its timestamps; at most ${LONGEST_MS / HOUR} h are accepted. Cut it, or repair its timestamps.`,
  )
}

/** That of the streams we use, where they tell: subtitles may reach far beyond them. */
function declaredDurationMs(
  format: Described['format'],
  streams: (Stream | null)[],
): number | null {
  const told = streams.map((stream) => (stream === null ? 0 : streamSeconds(stream)))
  const seconds = Math.max(...told) || (format.duration ?? 0)
  return seconds > 0 ? Math.round(seconds * SECOND) : null
}

/** Browsers record WebM without a duration. Walking through the packets tells it; 0 if not. */
async function scannedDurationMs(
  { ffmpegBin }: MediaTools,
  path: string,
  streamIndex: number,
  signal: AbortSignal,
): Promise<number> {
  let reachedMs = 0
  await run({
    bin: ffmpegBin,
    args: [
      ...['-v', 'error', '-nostdin', '-nostats', '-progress', 'pipe:1', ...HARDENED_INPUT],
      ...['-i', `file:${path}`, '-map', `0:${streamIndex}`, '-c', 'copy', '-f', 'null', '-'],
    ],
    signal,
    limitMs: 10 * 60 * SECOND,
    stallMs: 60 * SECOND,
    onProgress: ({ outTimeMs }) => {
      reachedMs = Math.max(reachedMs, outTimeMs)
    },
  })
  return Math.round(reachedMs)
}
