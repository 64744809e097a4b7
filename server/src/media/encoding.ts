import type { Rung } from './ladder.ts'

/** How one rung is encoded. Rates bind only where the picture is too rich for its quality. */
export interface EncodedRung extends Rung {
  crf: number
  preset: string
  x264Params: string
  maxrateBps: number
  /** The decoder's buffer: two seconds at the highest rate. */
  bufsizeBits: number
  file: string
}

/** Measured points, by the shorter side: docs/media.md, "Encoding settings". */
const QUALITY = [
  { side: 120, crf: 24, maxrateBps: 300_000 },
  { side: 360, crf: 27, maxrateBps: 1_200_000 },
  { side: 480, crf: 26, maxrateBps: 1_800_000 },
  { side: 720, crf: 27.9, maxrateBps: 3_500_000 },
  { side: 1080, crf: 28.1, maxrateBps: 6_500_000 },
  { side: 1440, crf: 28.1, maxrateBps: 10_000_000 },
  { side: 2160, crf: 28.1, maxrateBps: 18_000_000 },
] as const

/**
 * The larger the picture, the more is saved: few partitions and a short search everywhere, and in
 * the largest `subme=1`, which costs bytes that a longer look ahead and `trellis` win back.
 * `aq-mode=2` is better at the same bytes and time. `stitchable`: chunks that were encoded apart
 * have the same headers.
 */
const PRESET = 'veryfast'
const ALWAYS = 'stitchable=1:aq-mode=2:partitions=none:me=dia'
const EFFORT = [
  { upTo: 560, x264Params: `${ALWAYS}:bframes=5:rc-lookahead=40:trellis=1` },
  { upTo: 800, x264Params: `${ALWAYS}:rc-lookahead=20` },
  { upTo: Infinity, x264Params: `${ALWAYS}:subme=1:bframes=5:rc-lookahead=20:trellis=1` },
] as const

/** `ceilingBps`: what the rung above is at most, where that is known; no rung is larger than the one above it. */
export function encodedRung(rung: Rung, ceilingBps = Infinity): EncodedRung {
  const side = shorterSide(rung)
  const { x264Params } = EFFORT.find(({ upTo }) => side <= upTo) ?? EFFORT[2]
  const { crf, ...quality } = qualityAt(side)
  const maxrateBps = Math.min(quality.maxrateBps, Math.max(64_000, ceilingBps))
  const file = `${rung.name}.video.mp4`
  return { ...rung, crf, preset: PRESET, x264Params, maxrateBps, bufsizeBits: 2 * maxrateBps, file }
}

/** libx264's own threads; a small picture gains nothing from many. */
export function encoderThreads(rung: Rung, cores: number): number {
  return Math.max(1, Math.min(cores, Math.ceil(shorterSide(rung) / 90)))
}

export function shorterSide({ width, height }: { width: number; height: number }): number {
  return Math.min(width, height)
}

/** The highest rate that a rung of this size may have. */
export function highestRateBps(size: { width: number; height: number }): number {
  return qualityAt(shorterSide(size)).maxrateBps
}

/**
 * Between the measured points in a straight line: a source's own size may be just above a rung,
 * and a step there could make the larger rung the smaller file.
 */
function qualityAt(side: number): { crf: number; maxrateBps: number } {
  const [smallest] = QUALITY
  const above = QUALITY.findIndex((point) => point.side >= side)
  const upper = QUALITY[above] ?? QUALITY[6]
  const lower = QUALITY[above - 1] ?? (above === 0 ? smallest : upper)
  const share = upper.side === lower.side ? 0 : (side - lower.side) / (upper.side - lower.side)
  const between = (from: number, to: number): number => from + share * (to - from)
  return {
    crf: Math.round(10 * between(lower.crf, upper.crf)) / 10,
    maxrateBps: Math.round(between(lower.maxrateBps, upper.maxrateBps) / 1000) * 1000,
  }
}
