import { z } from 'zod'
import type { AudioStream, SubtitleStream, VideoStream } from './media-info.ts'

/** From ffprobe's answer to what we say of a source. Pure. */

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
  level: whole,
  time_base: text,
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
  disposition: z
    .object({ default: whole, attached_pic: whole, forced: whole })
    .partial()
    .default({}),
  tags: z.record(z.string(), z.string()).default({}),
  side_data_list: z.array(z.object({ rotation: real })).default([]),
})

/** What ffprobe tells with `PROBE_ENTRIES`. */
export const described = z.object({
  format: z.object({ format_name: z.string(), duration: real }),
  streams: z.array(streamShape).default([]),
  chapters: z.array(z.unknown()).default([]),
})

export type Described = z.infer<typeof described>
export type Stream = z.infer<typeof streamShape>

export const PROBE_ENTRIES = [
  'format=format_name,duration',
  `stream=${Object.keys(streamShape.shape)
    .filter((key) => !['disposition', 'tags', 'side_data_list'].includes(key))
    .join(',')}`,
  'stream_disposition=default,attached_pic,forced',
  'stream_tags=language,title,rotate,DURATION',
  'stream_side_data=rotation',
  'chapter=start_time,end_time',
  'chapter_tags=title',
].join(':')

const HDR_TRANSFERS = new Set(['smpte2084', 'arib-std-b67'])

export function toVideo(stream: Stream): VideoStream {
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
    ...positive('bitrateBps', stream.bit_rate),
    ...positive('level', stream.level),
    ...positive('ticksPerSecond', wholeTicks(stream.time_base)),
    ...positive('durationMs', Math.round(1000 * streamSeconds(stream))),
  }
}

function positive<K extends string>(name: K, value: number | undefined): { [name in K]?: number } {
  return value === undefined || !(value > 0) ? {} : ({ [name]: value } as { [name in K]: number })
}

/** `1/90000` is 90000; `1001/30000` is none. */
function wholeTicks(timeBase: string | undefined): number | undefined {
  const found = /^1\/(\d{1,9})$/.exec(timeBase ?? '')
  return found === null ? undefined : Number(found[1])
}

/** What the file tells of one stream; 0 where it does not. */
export function streamSeconds(stream: Stream): number {
  return stream.duration ?? clock(stream.tags['DURATION']) ?? 0
}

/** Matroska's tag: `00:00:02.000000000`. */
function clock(tag: string | undefined): number | undefined {
  const parts = /^(\d+):(\d{2}):(\d{2}(?:\.\d+)?)$/.exec(tag ?? '')
  return parts === null
    ? undefined
    : Number(parts[1]) * 3600 + Number(parts[2]) * 60 + Number(parts[3])
}

export function toAudio(stream: Stream): AudioStream {
  return {
    streamIndex: stream.index,
    codec: stream.codec_name ?? 'unknown',
    channels: stream.channels ?? 0,
    sampleRateHz: stream.sample_rate ?? 0,
    ...named(stream),
    ...(stream.profile === undefined ? {} : { profile: stream.profile }),
    ...positive('bitrateBps', stream.bit_rate),
  }
}

export function toSubtitle(stream: Stream): SubtitleStream {
  return {
    streamIndex: stream.index,
    codec: stream.codec_name ?? 'unknown',
    isForced: stream.disposition.forced === 1,
    ...named(stream),
  }
}

/** Language and title, where they are worth telling. */
function named(stream: Stream): { language?: string; title?: string } {
  const language = stream.tags['language']
  // oxlint-disable-next-line no-control-regex
  const title = (stream.tags['title'] ?? '').replaceAll(/[\0-\x1f\x7f]/g, ' ').trim()
  const isLanguage = language !== undefined && /^[a-z]{2,3}$/.test(language) && language !== 'und'
  return {
    ...(isLanguage ? { language } : {}),
    ...(title === '' ? {} : { title: [...title].slice(0, 100).join('') }),
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
