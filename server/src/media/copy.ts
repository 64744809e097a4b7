import { highestRateBps, shorterSide } from './encoding.ts'
import type { Rung } from './ladder.ts'
import type { AudioStream, MediaInfo } from './media-info.ts'

/** Whether streams of a source may be published as they are: no decoding, no loss, within seconds. */

/** What the copied picture turned out to be: see `describeCopy`. */
export interface CopiedStream {
  /** Presentation times of all pictures that a player may start at, in seconds. */
  syncTimes: number[]
  /** Each of them is an IDR picture, and one set of parameters holds for all. */
  isStitchable: boolean
  durationSeconds: number
  averageBps: number
  /** Over four seconds. */
  peakBps4s: number
}

/** A player waits for a whole segment. x264's default of 250 frames is 10.4 s at 24 a second. */
const LONGEST_SEGMENT_S = 12
const SHORTEST_SEGMENT_S = 2
/** How much above our own rates a copy may be: it saves the most expensive rung. */
const RATE_TOLERANCE = 1.6
const PEAK_TOLERANCE = 4

/** Whether the picture may be copied as this rung, by what the probe tells; its keyframes are looked at later. */
export function mayCopyVideo({ video, sizeBytes, durationMs }: MediaInfo, rung: Rung): boolean {
  const isPlain =
    video.codec === 'h264' &&
    video.pixelFormat === 'yuv420p' &&
    /^(Constrained Baseline|Baseline|Main|High)$/.test(video.profile ?? '') &&
    (video.level ?? 99) <= 52
  const isUpright =
    video.rotationDegrees === 0 &&
    video.sampleAspectRatio === 1 &&
    !video.isInterlaced &&
    !video.isHdr &&
    !video.isFullRange &&
    video.colorSpace !== 'bt2020nc'
  const isWholeSize = video.codedWidth === rung.width && video.codedHeight === rung.height
  const isSteady = video.frameRate > 0 && video.frameRate <= 61
  const bps = video.bitrateBps ?? (sizeBytes * 8000) / Math.max(1, durationMs)
  return isPlain && isUpright && isWholeSize && isSteady && bps <= highestCopiedBps(rung)
}

function highestCopiedBps(rung: Rung): number {
  return RATE_TOLERANCE * highestRateBps(rung)
}

/**
 * Where the segments of a copied picture begin, in seconds: at its own keyframes, at least two
 * seconds apart; the first with the film. Null where it cannot be played in segments, or is too rich after all.
 */
export function cutsOfCopy(copied: CopiedStream, rung: Rung): number[] | null {
  const { isStitchable, averageBps, peakBps4s, durationSeconds, syncTimes } = copied
  const [first = Infinity] = syncTimes
  if (!isStitchable || first > 1) return null
  const limit = highestCopiedBps(rung)
  if (averageBps > limit || peakBps4s > PEAK_TOLERANCE * limit) return null
  const cuts = [0]
  for (const time of syncTimes) {
    if (time - (cuts.at(-1) ?? 0) >= SHORTEST_SEGMENT_S) cuts.push(time)
  }
  const ends = [...cuts.slice(1), durationSeconds]
  const isFine = cuts.every((cut, index) => (ends[index] ?? cut) - cut <= LONGEST_SEGMENT_S)
  return isFine ? cuts : null
}

/**
 * Sound as browsers play it, from files whose packets follow each other without gaps. Others are
 * encoded, which fills gaps with silence.
 */
export function mayCopyAudio(info: MediaInfo, audio: AudioStream): boolean {
  return (
    info.container.startsWith('mov,') &&
    audio.codec === 'aac' &&
    audio.profile === 'LC' &&
    audio.channels <= 2 &&
    audio.sampleRateHz >= 32_000 &&
    audio.sampleRateHz <= 48_000 &&
    (audio.bitrateBps ?? Infinity) <= 200_000
  )
}

/** Below this, a rung is small: cheap to make, and quick to load. */
export function isSmall(rung: Rung): boolean {
  return shorterSide(rung) <= 400
}
