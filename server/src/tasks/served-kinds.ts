import { AppError } from '../errors.ts'
import { LANES, PAYLOADS, type Lane, type TaskKind } from './task.ts'

export type Kinds = ReadonlySet<TaskKind>

const ALL = Object.keys(PAYLOADS) as TaskKind[]
const LANE_NAMES = Object.keys(LANES) as Lane[]

/** What a worker takes: the kinds and lanes that are named, or all for null. Throws `misconfigured`. */
export function servedKinds(names: string[] | null): Kinds {
  if (names === null) return new Set(ALL)
  if (names.length === 0) throw refused('it names nothing')
  return new Set(names.flatMap(kindsCalled))
}

function kindsCalled(name: string): readonly TaskKind[] {
  const lane = LANE_NAMES.find((each) => each === name)
  if (lane !== undefined) return LANES[lane]
  const kind = ALL.find((each) => each === name)
  if (kind === undefined) throw refused(`"${name}" is no kind of task`)
  return [kind]
}

function refused(what: string): AppError {
  return new AppError(
    'misconfigured',
    `WORKER_ONLY, or --only: ${what}. Write some of ${LANE_NAMES.join(', ')} (each stands for several), or of ${ALL.join(', ')}, comma-separated.`,
  )
}

/** Whether any of them runs ffmpeg. */
export function needMediaTools(kinds: Kinds): boolean {
  return [...LANES.media, ...LANES.files].some((kind) => kinds.has(kind))
}

/** In one order; undefined for all of them. */
export function unlessAll(kinds: Kinds): TaskKind[] | undefined {
  const some = ALL.filter((kind) => kinds.has(kind))
  return some.length === ALL.length ? undefined : some
}
