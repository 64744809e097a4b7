import { z } from 'zod'

/** A named part of a film. Chapters are in order and do not overlap. */
export const chapter = z.object({
  startMs: z.int().nonnegative(),
  /** Not included. */
  endMs: z.int().positive(),
  title: z.string(),
})
export type Chapter = z.infer<typeof chapter>

const MOST_CHAPTERS = 500
const TITLE_MAX = 200

const seconds = z.coerce.number().refine(Number.isFinite)
const found = z.object({
  start_time: seconds,
  end_time: seconds.catch(Infinity),
  tags: z.object({ title: z.string().catch('') }).catch({ title: '' }),
})

/**
 * From the member `chapters` of ffprobe's `-show_chapters` in JSON. Files tell nonsense here, so
 * whatever has no place in the film is left out. `durationMs` is 0 where it is unknown.
 */
export function toChapters(chapters: unknown, durationMs: number): Chapter[] {
  const filmEndMs = durationMs > 0 ? durationMs : Infinity
  const told = (Array.isArray(chapters) ? chapters : [])
    .map((each) => found.safeParse(each).data)
    .filter((each) => each !== undefined)
    .map((each) => ({
      startMs: Math.max(0, Math.round(each.start_time * 1000)),
      endMs: Math.round(each.end_time * 1000),
      title: cleanTitle(each.tags.title),
    }))
    .sort((one, other) => one.startMs - other.startMs)
  return told
    .map((each, index) => ({
      ...each,
      endMs: Math.min(each.endMs, told[index + 1]?.startMs ?? Infinity, filmEndMs),
    }))
    .filter(({ startMs, endMs }) => endMs > startMs && Number.isSafeInteger(endMs))
    .slice(0, MOST_CHAPTERS)
    .map((each, index) => ({ ...each, title: each.title || `Chapter ${index + 1}` }))
}

/** Counted in code points: half of a pair is no text. */
function cleanTitle(title: string): string {
  const words = title.toWellFormed().replaceAll(/[\s\p{Cc}]+/gu, ' ')
  return [...words.trim()].slice(0, TITLE_MAX).join('').trim()
}
