import type { MediaInfo } from './media-info.ts'

/** One rendition to be made. Its name is the quality it is asked for by; its size may be smaller. */
export interface Rung {
  name: `${number}p`
  /** Square pixels, even. */
  width: number
  height: number
}

export const RUNGS: readonly number[] = [120, 360, 720, 1080]

/**
 * The rungs for a source, smallest first, never empty: every one whose shorter side is below the
 * source's, plus the smallest at or above it, made at the source's own size. Nothing is upscaled.
 */
export function ladder(info: MediaInfo, rungs: readonly number[] = RUNGS): Rung[] {
  const { displayWidth: width, displayHeight: height } = info.video
  const shorter = Math.min(width, height)
  const ascending = [...new Set(rungs)].sort((a, b) => a - b)
  const made = ascending.filter((rung) => rung < shorter).map((rung) => scaled(width, height, rung))
  const own = ascending.find((rung) => rung >= shorter)
  if (own !== undefined) made.push({ name: `${own}p`, width, height })
  return made
}

function scaled(width: number, height: number, shorter: number): Rung {
  const ratio = shorter / Math.min(width, height)
  return { name: `${shorter}p`, width: even(width * ratio), height: even(height * ratio) }
}

/** 4:2:0 needs even sizes. ffmpeg's `-2` rounds to zero for a very flat picture; this does not. */
function even(pixels: number): number {
  return Math.max(2, 2 * Math.round(pixels / 2))
}
