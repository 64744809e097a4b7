import { isSmall } from './copy.ts'
import type { EncodedRung } from './encoding.ts'

/** One run of the encoder. Those of a film may run in any order, on any machine. */
export interface EncodePart {
  /** Shown to superusers, unique in a film. */
  name: string
  /** Names of the rungs that it makes. */
  rungs: string[]
  /** Seconds of the film, whole multiples of four; `to` is null for the end. Null: all of it. */
  range: { from: number; to: number | null } | null
  hasAudio: boolean
  /** Poster and storyboard, of the whole film. */
  hasStills: boolean
}

/** The part that copies instead of encoding. */
export const COPY_PART = 'copy'

const LONGEST_CHUNK_S = 120
/** Segments are four seconds long, and no chunk ends within one. */
const GRID_S = 4

/**
 * How the work is divided. A short film is one run: it is decoded once. A long one is begun with
 * its small rungs, sound and stills, so that it plays soon; the large ones are encoded in chunks,
 * which many workers may share and of which a crash repeats only one.
 */
export function divide(work: {
  /** Largest first. */
  rungs: EncodedRung[]
  hasAudio: boolean
  /** Of the picture; 0 where it is unknown. */
  durationMs: number
  /** Whether a run may begin in the middle of the source. */
  isSeekable: boolean
  /** Where a copied rung has its segments: chunks begin there too. */
  cuts: number[] | null
  /** Films below are not divided. */
  chunkMinDurationMs: number
}): EncodePart[] {
  const { rungs, hasAudio, durationMs, isSeekable, cuts, chunkMinDurationMs } = work
  const names = rungs.map(({ name }) => name)
  const large = rungs.filter((rung, index) => index === 0 || !isSmall(rung))
  const isDivided = isSeekable && durationMs >= chunkMinDurationMs && large.length > 0
  if (!isDivided) {
    return [{ name: 'encode', rungs: names, range: null, hasAudio, hasStills: true }]
  }
  const largeNames = large.map(({ name }) => name)
  const first: EncodePart = {
    name: 'encode small',
    rungs: names.filter((name) => !largeNames.includes(name)),
    range: null,
    hasAudio,
    hasStills: true,
  }
  const ranges = chunkRanges(durationMs / 1000, chunkSeconds(chunkMinDurationMs), cuts)
  return [
    first,
    ...ranges.map((range, index) => ({
      name: `encode ${index + 1}/${ranges.length}`,
      rungs: largeNames,
      range,
      hasAudio: false,
      hasStills: false,
    })),
  ]
}

/** Two minutes where films are long; less where CHUNK_MIN_DURATION was set to less. */
function chunkSeconds(chunkMinDurationMs: number): number {
  const fifth = Math.round(chunkMinDurationMs / 1000 / 5 / GRID_S) * GRID_S
  return Math.min(LONGEST_CHUNK_S, Math.max(2 * GRID_S, fifth))
}

/** The last chunk is open, and at least half as long as the others. */
function chunkRanges(
  seconds: number,
  length: number,
  cuts: number[] | null,
): { from: number; to: number | null }[] {
  const starts = [0]
  for (let start = length; start <= seconds - length / 2; start += length) {
    const fit = cuts === null ? start : cuts.findLast((cut) => cut <= start)
    if (fit !== undefined && fit > (starts.at(-1) ?? 0)) starts.push(fit)
  }
  return starts.map((from, index) => ({ from, to: starts[index + 1] ?? null }))
}
