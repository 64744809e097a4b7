import { colorPlan, type ColorPlan } from './color.ts'
import { cutsOfCopy, mayCopyAudio, mayCopyVideo, type CopiedStream } from './copy.ts'
import { encodedRung, shorterSide, type EncodedRung } from './encoding.ts'
import { ladder, type Rung } from './ladder.ts'
import type { AudioStream, MediaInfo, SubtitleStream } from './media-info.ts'
import { divide, type EncodePart } from './parts.ts'
import { storyboardInterval, tileSize } from './storyboard.ts'

/**
 * Everything about how a source is processed. Plain data: it is stored when it is made, and every
 * step follows it, on whatever machine.
 */
export interface SourcePlan {
  videoStreamIndex: number
  /** As declared; 0 where unknown. */
  durationMs: number
  deinterlace: boolean
  color: ColorPlan
  /** Ticks a second of the encoder's and the files' clock. */
  timescale: number
  /** How long a frame lasts, where nothing says. */
  frameTicks: number
  /** The rung that is the source's own picture, copied; null when all are encoded. */
  copied: CopiedRung | null
  /** What is encoded, the largest first: each is scaled from the one before. */
  rungs: EncodedRung[]
  /** Where segments begin, in seconds, where a copied rung says so; null: every four seconds. */
  cuts: number[] | null
  /** The main one first. */
  audio: AudioPlan[]
  subtitles: SubtitlePlan[]
  poster: PosterPlan
  storyboard: StoryboardPlan
  parts: EncodePart[]
  /** Nothing beyond is read. */
  maxSeconds: number
}

export interface CopiedRung extends Rung {
  file: string
}

export interface AudioPlan {
  streamIndex: number
  /** As it is, or encoded: AAC, stereo. */
  isCopied: boolean
  bitrateBps: number
  sampleRateHz: number
  language: string | null
  title: string | null
  file: string
}

export interface SubtitlePlan {
  streamIndex: number
  language: string | null
  title: string | null
  isForced: boolean
  file: string
}

/** A few frames spread over the film, of which the one that shows most becomes the poster. */
export interface PosterPlan {
  width: number
  height: number
  /** The first candidate is always the first frame; the others begin here. */
  fromSeconds: number
  everySeconds: number
  candidates: number
  /** `%02d` counts from 1. */
  filePattern: string
}

export interface StoryboardPlan {
  width: number
  height: number
  everySeconds: number
  file: string
}

export interface PlanOptions {
  /** Shorter sides of the ladder. */
  rungs?: readonly number[]
  /** ffmpeg has zscale and tonemap. */
  canToneMap: boolean
  /** Films below are encoded in one run. */
  chunkMinDurationMs: number
  /** Set where copying is out of question, or was tried and is. */
  mayCopy: boolean
}

const AUDIO_BITRATE_BPS = 128_000
const AUDIO_RATE_HZ = 48_000
const POSTER_CANDIDATES = 12
const POSTER_SHORTER_SIDE = 720
/** Nothing beyond is read of any film. */
export const MAX_SECONDS = 12 * 3600

/** The rung that may turn out to be the source's own picture; whether it does is known once it is copied. */
export function copyCandidate(info: MediaInfo, options: PlanOptions): CopiedRung | null {
  if (!options.mayCopy) return null
  const own = ladder(info, options.rungs).find(
    ({ width, height }) => width === info.video.displayWidth && height === info.video.displayHeight,
  )
  if (own === undefined || !mayCopyVideo(info, own)) return null
  return { ...own, file: `${own.name}.video.mp4` }
}

/** `copied` is what became of the candidate; null if there was none. */
export function planSource(
  info: MediaInfo,
  options: PlanOptions,
  copied: CopiedStream | null = null,
): SourcePlan {
  const descending = ladder(info, options.rungs).toSorted((a, b) => shorterSide(b) - shorterSide(a))
  const candidate = copied === null ? null : copyCandidate(info, options)
  const cuts = copied === null || candidate === null ? null : cutsOfCopy(copied, candidate)
  const own = cuts === null ? null : candidate
  const rungs = descending
    .filter(({ name }) => name !== own?.name)
    .map((rung) => encodedRung(rung, own === null ? undefined : copied?.averageBps))
  const audio = audioPlans(info)
  return {
    videoStreamIndex: info.video.streamIndex,
    durationMs: info.durationMs,
    deinterlace: info.video.isInterlaced,
    color: colorPlan(info.video, options.canToneMap),
    timescale: timescale(info.video.frameRate),
    frameTicks: frameTicks(info.video.frameRate),
    copied: own,
    rungs,
    cuts,
    audio,
    subtitles: (info.subtitles ?? []).map(subtitlePlan),
    poster: posterPlan(info),
    storyboard: storyboardPlan(info),
    parts: divide({
      rungs,
      // Sound goes with the copy, where there is one.
      hasAudio: own === null && audio.length > 0,
      durationMs: info.video.durationMs ?? info.durationMs,
      isSeekable: isSeekable(info),
      cuts,
      chunkMinDurationMs: options.chunkMinDurationMs,
    }),
    maxSeconds: MAX_SECONDS,
  }
}

/** Files whose index tells where each picture is, with timestamps in whole parts of a second. */
function isSeekable({ container, video }: MediaInfo): boolean {
  return /^(mov|matroska)/.test(container) && video.ticksPerSecond !== undefined
}

export function audioPlans(info: MediaInfo): AudioPlan[] {
  const streams = [info.audio, ...(info.otherAudio ?? [])].filter((stream) => stream !== null)
  return streams.map((stream, index) => audioPlan(info, stream, index))
}

function audioPlan(info: MediaInfo, stream: AudioStream, index: number): AudioPlan {
  return {
    streamIndex: stream.streamIndex,
    isCopied: mayCopyAudio(info, stream),
    bitrateBps: AUDIO_BITRATE_BPS,
    sampleRateHz: AUDIO_RATE_HZ,
    language: stream.language ?? null,
    title: stream.title ?? null,
    file: `audio-${index}.mp4`,
  }
}

function subtitlePlan(stream: SubtitleStream, index: number): SubtitlePlan {
  return {
    streamIndex: stream.streamIndex,
    language: stream.language ?? null,
    title: stream.title ?? null,
    isForced: stream.isForced,
    file: `subtitles-${index}.vtt`,
  }
}

/**
 * Keeps the usual frame rates exact and others to 10 µs. Not finer: MP4 counts a sample's duration
 * in 32 bits, and a gap of hours between two frames has to fit (ISO/IEC 14496-12 §8.6.1.2).
 */
function timescale(frameRate: number): number {
  for (const ntsc of [24_000, 30_000, 60_000]) {
    if (Math.abs(frameRate - ntsc / 1001) < 0.005) return ntsc
  }
  return 48_000
}

function frameTicks(frameRate: number): number {
  const told = frameRate >= 1 && frameRate <= 60 ? frameRate : 25
  return Math.round(timescale(frameRate) / told)
}

function posterPlan(info: MediaInfo): PosterPlan {
  const { displayWidth: width, displayHeight: height } = info.video
  const ratio = Math.min(1, POSTER_SHORTER_SIDE / shorterSide({ width, height }))
  const seconds = info.durationMs > 0 ? info.durationMs / 1000 : 60
  return {
    width: even(width * ratio),
    height: even(height * ratio),
    fromSeconds: rounded(seconds * 0.1),
    everySeconds: rounded((seconds * 0.8) / POSTER_CANDIDATES),
    candidates: POSTER_CANDIDATES,
    filePattern: 'poster-%02d.jpg',
  }
}

function storyboardPlan({ durationMs, video }: MediaInfo): StoryboardPlan {
  const everySeconds = storyboardInterval(durationMs) / 1000
  const size = tileSize(video.displayWidth, video.displayHeight)
  return { ...size, everySeconds, file: 'storyboard.mjpeg' }
}

function even(pixels: number): number {
  return Math.max(2, 2 * Math.round(pixels / 2))
}

function rounded(seconds: number): number {
  return Math.round(seconds * 1000) / 1000
}
