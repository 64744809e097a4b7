import { stat } from 'node:fs/promises'
import { z } from 'zod'
import { MediaFailure } from './failure.ts'
import { run } from './ffmpeg.ts'
import type { AudioStream, MediaInfo, VideoStream } from './media-info.ts'
import { signature } from './signature.ts'
import type { MediaTools } from './tools.ts'
import {
  AUDIO_CODECS,
  complainsOfSize,
  HARDENED_INPUT,
  HARDENED_PROBE,
  MAX_PIXELS,
  VIDEO_CODECS,
} from './whitelist.ts'

const SECOND = 1000
const HOUR = 3600 * SECOND
const LONGEST_MS = 12 * HOUR
const SHORTEST_SIDE = 16
const LONGEST_SIDE = 8192
const FLATTEST = 20

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
  const { format, streams } = await describe(tools, path, signal)
  const video = chooseVideo(streams)
  const audio = chooseAudio(streams)
  const declaredMs = declaredDurationMs(format, [video, audio])
  const durationMs = declaredMs ?? (await scannedDurationMs(tools, path, video.index, signal))
  if (durationMs > LONGEST_MS) throw tooLong(durationMs)
  return {
    container: format.format_name,
    durationMs,
    sizeBytes: size,
    video: toVideo(video),
    audio: audio === null ? null : toAudio(audio),
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

const text = z.string().optional()
const whole = z.coerce.number().int().optional().catch(undefined)
const real = z.coerce.number().optional().catch(undefined)

const streamShape = z.object({
  index: z.int(),
  codec_type: text,
  codec_name: text,
  profile: text,
  pix_fmt: text,
  bits_per_raw_sample: whole,
  width: whole,
  height: whole,
  sample_aspect_ratio: text,
  field_order: text,
  color_range: text,
  color_space: text,
  color_transfer: text,
  color_primaries: text,
  avg_frame_rate: text,
  r_frame_rate: text,
  duration: real,
  bit_rate: whole,
  channels: whole,
  sample_rate: whole,
  nb_frames: whole,
  disposition: z.object({ default: whole, attached_pic: whole }).partial().default({}),
  tags: z.record(z.string(), z.string()).default({}),
  side_data_list: z.array(z.object({ rotation: real })).default([]),
})

const described = z.object({
  format: z.object({ format_name: z.string(), duration: real }),
  streams: z.array(streamShape).default([]),
})

type Described = z.infer<typeof described>
type Stream = z.infer<typeof streamShape>

const ENTRIES = [
  'format=format_name,duration',
  `stream=${Object.keys(streamShape.shape)
    .filter((key) => !['disposition', 'tags', 'side_data_list'].includes(key))
    .join(',')}`,
  'stream_disposition=default,attached_pic',
  'stream_tags=language,rotate,DURATION',
  'stream_side_data=rotation',
].join(':')

async function describe(
  { ffprobeBin }: MediaTools,
  path: string,
  signal: AbortSignal,
): Promise<Described> {
  const { stdout, stderr } = await run({
    bin: ffprobeBin,
    args: [
      ...['-v', 'error', ...HARDENED_PROBE, '-of', 'json=c=1', '-show_entries', ENTRIES],
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

function chooseVideo(streams: Stream[]): Stream {
  const pictures = streams.filter(
    (stream) => stream.codec_type === 'video' && stream.disposition.attached_pic !== 1,
  )
  const chosen = preferred(pictures, VIDEO_CODECS)
  if (chosen === null) {
    const sentence = streams.some((stream) => stream.codec_type === 'audio')
      ? 'The file has sound but no moving picture. Upload a film.'
      : 'The file has no moving picture. Upload a film.'
    throw new MediaFailure('no_video_stream', sentence)
  }
  if (!VIDEO_CODECS.has(chosen.codec_name ?? '')) {
    throw unsupportedCodec('picture', chosen.codec_name)
  }
  refuseSize(chosen)
  return chosen
}

function chooseAudio(streams: Stream[]): Stream | null {
  const sounds = streams.filter((stream) => stream.codec_type === 'audio')
  const chosen = preferred(sounds, AUDIO_CODECS)
  if (chosen === null) return null
  if (!AUDIO_CODECS.has(chosen.codec_name ?? '')) throw unsupportedCodec('sound', chosen.codec_name)
  // Announced but never present: nothing to encode.
  if (!chosen.channels || !chosen.sample_rate) return null
  return chosen
}

/** The default one of those we can decode, else the first of those, else the first. */
function preferred(streams: Stream[], codecs: ReadonlySet<string>): Stream | null {
  const known = streams.filter((stream) => codecs.has(stream.codec_name ?? ''))
  return known.find((stream) => stream.disposition.default === 1) ?? known[0] ?? streams[0] ?? null
}

function unsupportedCodec(what: string, codec = 'unknown'): MediaFailure {
  const name = /^[a-z0-9_]{1,32}$/.test(codec) ? codec : 'unknown'
  return new MediaFailure(
    'unsupported_codec',
    `The ${what} is coded in a way that is not accepted (${name}). Convert the film to H.264 and AAC, then upload it again.`,
  )
}

function refuseSize({ width = 0, height = 0 }: Stream): void {
  const [shorter, longer] = [Math.min(width, height), Math.max(width, height)]
  if (longer === 0) {
    throw new MediaFailure(
      'undecodable',
      'No picture of the film can be decoded. Check that it plays, then upload it again.',
    )
  }
  const told = `The picture has ${width}×${height} pixels`
  if (shorter < SHORTEST_SIDE) {
    throw new MediaFailure(
      'too_small_picture',
      `${told}; at least ${SHORTEST_SIDE} are needed in both directions.`,
    )
  }
  if (width * height > MAX_PIXELS) throw tooManyPixels()
  if (longer > LONGEST_SIDE || longer > FLATTEST * shorter) {
    throw new MediaFailure(
      'too_large_picture',
      `${told}; at most ${LONGEST_SIDE} in one direction and ${FLATTEST}:1 are accepted. Scale it down, then upload it again.`,
    )
  }
}

export function tooManyPixels(): MediaFailure {
  const megapixels = Math.round(MAX_PIXELS / 1e6)
  return new MediaFailure(
    'too_large_picture',
    `The picture has more than ${megapixels} megapixels. Scale it down, then upload it again.`,
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
  const told = streams.map((stream) => stream?.duration ?? clock(stream?.tags['DURATION']) ?? 0)
  const seconds = Math.max(...told) || (format.duration ?? 0)
  return seconds > 0 ? Math.round(seconds * SECOND) : null
}

/** Matroska's tag: `00:00:02.000000000`. */
function clock(tag: string | undefined): number | undefined {
  const parts = /^(\d+):(\d{2}):(\d{2}(?:\.\d+)?)$/.exec(tag ?? '')
  return parts === null
    ? undefined
    : Number(parts[1]) * 3600 + Number(parts[2]) * 60 + Number(parts[3])
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

const HDR_TRANSFERS = new Set(['smpte2084', 'arib-std-b67'])

function toVideo(stream: Stream): VideoStream {
  const codedWidth = stream.width ?? 0
  const codedHeight = stream.height ?? 0
  const sampleAspectRatio = pixelAspect(stream.sample_aspect_ratio)
  const rotationDegrees = rotation(stream)
  const upright = [even(codedWidth * sampleAspectRatio), even(codedHeight)] as const
  const [displayWidth, displayHeight] =
    rotationDegrees % 180 === 90 ? [upright[1], upright[0]] : upright
  const transfer = told(stream.color_transfer)
  return {
    streamIndex: stream.index,
    codec: stream.codec_name ?? 'unknown',
    profile: told(stream.profile),
    pixelFormat: stream.pix_fmt ?? 'unknown',
    bitDepth: bitDepth(stream),
    codedWidth,
    codedHeight,
    displayWidth,
    displayHeight,
    rotationDegrees,
    sampleAspectRatio,
    frameRate: ratio(stream.avg_frame_rate) || ratio(stream.r_frame_rate),
    isInterlaced: ['tt', 'bb', 'tb', 'bt'].includes(stream.field_order ?? ''),
    isFullRange: stream.color_range === 'pc' || (stream.pix_fmt ?? '').startsWith('yuvj'),
    colorTransfer: transfer,
    colorPrimaries: told(stream.color_primaries),
    colorSpace: told(stream.color_space),
    isHdr: HDR_TRANSFERS.has(transfer ?? ''),
    ...(stream.bit_rate === undefined || stream.bit_rate <= 0
      ? {}
      : { bitrateBps: stream.bit_rate }),
  }
}

function toAudio(stream: Stream): AudioStream {
  const language = stream.tags['language']
  return {
    streamIndex: stream.index,
    codec: stream.codec_name ?? 'unknown',
    channels: stream.channels ?? 0,
    sampleRateHz: stream.sample_rate ?? 0,
    ...(language !== undefined && /^[a-z]{2,3}$/.test(language) && language !== 'und'
      ? { language }
      : {}),
  }
}

function told(value: string | undefined): string | null {
  return value === undefined || ['unknown', 'unspecified', 'reserved', ''].includes(value)
    ? null
    : value
}

/** `4:3` and `24000/1001` alike; 0 where nothing useful is said (`0/0`, `N/A`). */
function ratio(value: string | undefined): number {
  const [over = 0, under = 1] = (value ?? '').split(/[:/]/).map(Number)
  const quotient = over / under
  return Number.isFinite(quotient) && quotient > 0 ? quotient : 0
}

/**
 * Beyond 4:1 it is damage, not a wish. Within 1 % it is what remains of somebody's rounding (854×480
 * from 16:9 is tagged 1280:1281), and not worth scaling every picture.
 */
function pixelAspect(value: string | undefined): number {
  const told = ratio(value)
  return told < 1 / 4 || told > 4 || Math.abs(told - 1) < 0.01 ? 1 : told
}

/** ffprobe gives the display matrix counter-clockwise; old files have a tag, clockwise. */
function rotation(stream: Stream): number {
  const matrix = stream.side_data_list.find((side) => side.rotation !== undefined)?.rotation
  const degrees = matrix === undefined ? Number(stream.tags['rotate'] ?? 0) : -matrix
  const quarters = Math.round((Number.isFinite(degrees) ? degrees : 0) / 90)
  return (((quarters % 4) + 4) % 4) * 90
}

function bitDepth(stream: Stream): number {
  const byFormat = /p(?:9|10|12|14|16)(?=le|be)/.exec(stream.pix_fmt ?? '')?.[0].slice(1)
  return Number(byFormat ?? 0) || stream.bits_per_raw_sample || 8
}

/** Down, as nothing is upscaled, by not even one line. */
function even(pixels: number): number {
  return Math.max(2, 2 * Math.floor((pixels + 1e-6) / 2))
}
