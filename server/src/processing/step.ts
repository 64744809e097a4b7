import type { AudioTrackRow, RenditionRow, SourceRow } from '../db/tables.ts'
import type { EncodePart } from '../media/parts.ts'
import type { SourcePlan } from '../media/plan.ts'
import type { TaskKind } from '../tasks/task.ts'

/** The steps from a source to a video: what each has to do, and what it leaves behind when it is done. */

/** The kinds of tasks that do a step each. */
export const STEP_TASKS = [
  'process_source',
  'copy_streams',
  'extract_subtitles',
  'encode_part',
  'package_rungs',
] as const satisfies TaskKind[]

/** Shown, and unique for a source. Encoding steps are called as their part, and packaging by its rungs. */
export const STEP_NAMES = { probe: 'probe', copy: 'copy', subtitles: 'subtitles' } as const

/** A plan as it is stored. */
export interface StoredPlan extends SourcePlan {
  /** The source plays already and is processed once more: what is there stays until all is done. */
  isReplay: boolean
}

/** Of steps that copy or encode: keys of objects by file name. None of a chunk without frames. */
export interface PartResult {
  files: Record<string, string>
}

export interface EncodeStep {
  part: EncodePart
}

export interface PackageStep {
  rungs: string[]
  /** Whether the sound in other languages is packaged along. */
  hasOtherAudio: boolean
}

/** What is to be published; rows without what the database gives. */
export interface PackageResult {
  renditions: Omit<RenditionRow, 'id'>[]
  audioTracks: AudioTrack[]
}

export type AudioTrack = Omit<AudioTrackRow, 'id'>

/** Throws where there is none: a mistake of ours. */
export function planOf(source: SourceRow): StoredPlan {
  if (source.plan === null) throw new Error(`source ${source.id} has no plan`)
  return source.plan as StoredPlan
}
