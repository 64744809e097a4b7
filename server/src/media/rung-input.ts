import type { VideoPart } from './mp4/package-file.ts'
import { COPY_PART, type EncodePart } from './parts.ts'
import type { SourcePlan } from './plan.ts'

/** What one published file is made of. Paths are absolute. */
export interface RungInput {
  /** Name of the rung. */
  rung: string
  video: VideoPart[]
  /** The main sound; null for a silent film. */
  audioPath: string | null
}

/** Where a file is that a part has made, as an absolute path; null where the part had nothing to make. */
export type Locate = (part: string, file: string) => string | null

/** The parts that must be done before a rung can be packaged. */
export function partsOf(plan: SourcePlan, rung: string): string[] {
  const sound = plan.audio.length > 0 ? [soundPart(plan)] : []
  return [...new Set([...pictureParts(plan, rung).map(({ name }) => name), ...sound])]
}

export function inputOf(plan: SourcePlan, rung: string, locate: Locate): RungInput {
  const file = `${rung}.video.mp4`
  const video = pictureParts(plan, rung).flatMap(({ name, range }) => {
    const path = locate(name, file)
    return path === null ? [] : [{ path, startSeconds: range?.from ?? 0 }]
  })
  return { rung, video, audioPath: soundPath(plan, 0, locate) }
}

/** Of a track by its position; null where there is none. */
export function soundPath(plan: SourcePlan, position: number, locate: Locate): string | null {
  const track = plan.audio[position]
  return track === undefined ? null : locate(soundPart(plan), track.file)
}

/** Smallest first. */
export function rungNames(plan: SourcePlan): string[] {
  return [...plan.rungs, ...(plan.copied === null ? [] : [plan.copied])]
    .map(({ name }) => name)
    .toSorted((one, other) => Number.parseInt(one, 10) - Number.parseInt(other, 10))
}

function pictureParts(plan: SourcePlan, rung: string): Pick<EncodePart, 'name' | 'range'>[] {
  if (plan.copied?.name === rung) return [{ name: COPY_PART, range: null }]
  return plan.parts.filter(({ rungs }) => rungs.includes(rung))
}

/** All sound is made in one place. */
function soundPart(plan: SourcePlan): string {
  return plan.parts.find(({ hasAudio }) => hasAudio)?.name ?? COPY_PART
}
