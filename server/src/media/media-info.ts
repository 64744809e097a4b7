import { z } from 'zod'
import { chapter } from './chapters.ts'

const videoStream = z.object({
  /** Index of the chosen stream in the source, as ffmpeg counts. */
  streamIndex: z.int().nonnegative(),
  codec: z.string(),
  profile: z.string().nullable(),
  pixelFormat: z.string(),
  bitDepth: z.int().positive(),
  /** What the decoder hands out, in its own pixels. */
  codedWidth: z.int().positive(),
  codedHeight: z.int().positive(),
  /** What a viewer sees, in square pixels: pixel aspect and rotation applied, even, at least 2. */
  displayWidth: z.int().positive(),
  displayHeight: z.int().positive(),
  /** Clockwise turn that makes the picture upright: 0, 90, 180 or 270. */
  rotationDegrees: z.int(),
  /** Width of a pixel divided by its height; 1 is square. */
  sampleAspectRatio: z.number().positive(),
  /** Average frames per second; 0 where the file does not say. */
  frameRate: z.number().nonnegative(),
  isInterlaced: z.boolean(),
  isFullRange: z.boolean(),
  /** As ffmpeg names them (`bt709`, `smpte2084`, `bt2020nc`); null where the file does not say. */
  colorTransfer: z.string().nullable(),
  colorPrimaries: z.string().nullable(),
  colorSpace: z.string().nullable(),
  isHdr: z.boolean(),
  bitrateBps: z.int().positive().optional(),
  /** H.264: ten times the level, 40 for 4.0. */
  level: z.int().optional(),
  /** Ticks a second of its timestamps; absent where a tick is no whole fraction of a second. */
  ticksPerSecond: z.int().positive().optional(),
  /** Of the picture alone, where the file tells. */
  durationMs: z.int().positive().optional(),
})

const audioStream = z.object({
  streamIndex: z.int().nonnegative(),
  codec: z.string(),
  channels: z.int().positive(),
  sampleRateHz: z.int().positive(),
  /** ISO 639-2, as the file has it. */
  language: z.string().optional(),
  /** What the file calls the track. */
  title: z.string().optional(),
  profile: z.string().optional(),
  bitrateBps: z.int().positive().optional(),
})

/** Text, not pictures of text. */
const subtitleStream = z.object({
  streamIndex: z.int().nonnegative(),
  codec: z.string(),
  language: z.string().optional(),
  title: z.string().optional(),
  isForced: z.boolean(),
})

/** What a source is. Stored as JSON: new members must be optional. */
export const mediaInfo = z.object({
  /** ffmpeg's name of the format, such as `mov,mp4,m4a,3gp,3g2,mj2`. */
  container: z.string(),
  /** The longer of picture and sound, as declared. The file may lie; `verify` finds out. */
  durationMs: z.int().nonnegative(),
  sizeBytes: z.int().nonnegative(),
  video: videoStream,
  /** The main sound. */
  audio: audioStream.nullable(),
  /** Sound in other languages, or with comments. */
  otherAudio: z.array(audioStream).optional(),
  subtitles: z.array(subtitleStream).optional(),
  chapters: z.array(chapter).optional(),
})

export type MediaInfo = z.infer<typeof mediaInfo>
export type VideoStream = MediaInfo['video']
export type AudioStream = NonNullable<MediaInfo['audio']>
export type SubtitleStream = z.infer<typeof subtitleStream>
