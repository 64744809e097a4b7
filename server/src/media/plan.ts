import type { Rung } from './ladder.ts'
import type { MediaInfo, VideoStream } from './media-info.ts'

/** How one rung is encoded. Rates bind only where the picture is too rich for its quality. */
export interface EncodedRung extends Rung {
  crf: number
  preset: string
  x264Params: string
  maxrateBps: number
  /** The decoder's buffer: two seconds at the highest rate. */
  bufsizeBits: number
  /** libx264's own threads; a small picture gains nothing from many. */
  threads: number
  file: string
}

export interface AudioPlan {
  streamIndex: number
  bitrateBps: number
  sampleRateHz: number
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

/** What has to be done to a picture's colours to be BT.709, 8 bit, limited range. */
export type ColorPlan =
  | { kind: 'sdr'; fromFullRange: boolean; fromBt601: boolean }
  | { kind: 'wide_gamut' | 'hdr'; transfer: string; fromFullRange: boolean } // from BT.2020

export interface EncodePlan {
  videoStreamIndex: number
  deinterlace: boolean
  color: ColorPlan
  /** Ticks a second of the encoder's and the file's clock. */
  timescale: number
  /** How long a frame lasts, where nothing says. */
  frameTicks: number
  /** The largest first: each is scaled from the one before. */
  rungs: EncodedRung[]
  audio: AudioPlan | null
  poster: PosterPlan
  decoderThreads: number
  /** Nothing beyond is read. */
  maxSeconds: number
}

export interface Machine {
  /** Cores to be used. */
  threads: number
  /** ffmpeg has zscale and tonemap. */
  canToneMap: boolean
}

const AUDIO_BITRATE_BPS = 128_000
const AUDIO_RATE_HZ = 48_000
const POSTER_CANDIDATES = 12
const POSTER_SHORTER_SIDE = 720
const MAX_SECONDS = 12 * 3600

/** Decides everything about an encode; `rungs` come from the ladder, in any order, at least one. */
export function plan(info: MediaInfo, rungs: Rung[], machine: Machine): EncodePlan {
  const descending = [...rungs].sort((a, b) => shorterSide(b) - shorterSide(a))
  return {
    videoStreamIndex: info.video.streamIndex,
    deinterlace: info.video.isInterlaced,
    color: colorPlan(info.video, machine.canToneMap),
    timescale: timescale(info.video.frameRate),
    frameTicks: frameTicks(info.video.frameRate),
    rungs: descending.map((rung) => encodedRung(rung, machine.threads)),
    audio:
      info.audio === null
        ? null
        : {
            streamIndex: info.audio.streamIndex,
            bitrateBps: AUDIO_BITRATE_BPS,
            sampleRateHz: AUDIO_RATE_HZ,
            file: 'audio.mp4',
          },
    poster: posterPlan(info, descending),
    decoderThreads: machine.threads,
    maxSeconds: MAX_SECONDS,
  }
}

function shorterSide({ width, height }: { width: number; height: number }): number {
  return Math.min(width, height)
}

/** Measured points, by the shorter side: docs/media.md, "Encoding settings". */
const QUALITY = [
  { side: 120, crf: 24, maxrateBps: 300_000 },
  { side: 360, crf: 26, maxrateBps: 1_200_000 },
  { side: 480, crf: 26, maxrateBps: 1_800_000 },
  { side: 720, crf: 28.8, maxrateBps: 3_500_000 },
  { side: 1080, crf: 28.9, maxrateBps: 6_500_000 },
] as const

/**
 * Small pictures cost little and gain most from effort. `aq-mode=2` gives more quality at the same
 * bytes and time; in large pictures `subme=1` saves a third of the time, and a longer look ahead
 * more than makes up for it.
 */
const EFFORT = [
  { upTo: 440, preset: 'medium', x264Params: 'aq-mode=2' },
  { upTo: Infinity, preset: 'veryfast', x264Params: 'aq-mode=2:subme=1:rc-lookahead=20' },
] as const

function encodedRung(rung: Rung, threads: number): EncodedRung {
  const side = shorterSide(rung)
  const { preset, x264Params } = EFFORT.find(({ upTo }) => side <= upTo) ?? EFFORT[1]
  const { crf, maxrateBps } = qualityAt(side)
  return {
    ...rung,
    crf,
    preset,
    x264Params,
    maxrateBps,
    bufsizeBits: 2 * maxrateBps,
    threads: Math.max(1, Math.min(threads, Math.ceil(side / 90))),
    file: `${rung.name}.video.mp4`,
  }
}

/**
 * Between the measured points in a straight line: a source's own size may be just above a rung,
 * and a step there could make the larger rung the smaller file.
 */
function qualityAt(side: number): { crf: number; maxrateBps: number } {
  const [smallest] = QUALITY
  const above = QUALITY.findIndex((point) => point.side >= side)
  const upper = QUALITY[above] ?? QUALITY[4]
  const lower = QUALITY[above - 1] ?? (above === 0 ? smallest : upper)
  const share = upper.side === lower.side ? 0 : (side - lower.side) / (upper.side - lower.side)
  const between = (from: number, to: number): number => from + share * (to - from)
  return {
    crf: Math.round(10 * between(lower.crf, upper.crf)) / 10,
    maxrateBps: Math.round(between(lower.maxrateBps, upper.maxrateBps) / 1000) * 1000,
  }
}

function colorPlan(video: VideoStream, canToneMap: boolean): ColorPlan {
  const fromFullRange = video.isFullRange
  if (canToneMap && (video.isHdr || video.colorSpace === 'bt2020nc')) {
    const transfer = video.colorTransfer ?? 'bt709'
    return { kind: video.isHdr ? 'hdr' : 'wide_gamut', transfer, fromFullRange }
  }
  return { kind: 'sdr', fromFullRange, fromBt601: isBt601(video) }
}

/** Untagged pictures are taken for what browsers take them: by their size. */
function isBt601(video: VideoStream): boolean {
  if (video.colorSpace !== null) return /^(smpte170m|bt470bg|bt470m|fcc)$/.test(video.colorSpace)
  return shorterSide({ width: video.codedWidth, height: video.codedHeight }) < 720
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

function posterPlan(info: MediaInfo, descending: Rung[]): PosterPlan {
  const fits = descending.find((rung) => shorterSide(rung) <= POSTER_SHORTER_SIDE)
  const { width, height } = fits ?? descending.at(-1) ?? { width: 2, height: 2 }
  const seconds = info.durationMs > 0 ? info.durationMs / 1000 : 60
  return {
    width,
    height,
    fromSeconds: rounded(seconds * 0.1),
    everySeconds: rounded((seconds * 0.8) / POSTER_CANDIDATES),
    candidates: POSTER_CANDIDATES,
    filePattern: 'poster-%02d.jpg',
  }
}

function rounded(seconds: number): number {
  return Math.round(seconds * 1000) / 1000
}
