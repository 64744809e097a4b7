/**
 * How long films take with more workers than we have, from the parts of one that was measured with one worker on one core.
 * A worker here is one encoder on one such core, on a machine of its own.
 */

/** A step as it was measured; times in seconds since the first one began. */
export interface MeasuredStep {
  name: string
  begunAt: number
  endedAt: number
  /** Steps that must be done before it may begin. */
  after: string[]
}

export interface Work {
  name: string
  /** Of one core that does nothing else. */
  seconds: number
  after: string[]
}

/**
 * What each step would have taken alone: of a stretch in which several ran on the one core, each gets its part. In the
 * order in which they began.
 */
export function workOf(steps: MeasuredStep[]): Work[] {
  const edges = [...new Set(steps.flatMap(({ begunAt, endedAt }) => [begunAt, endedAt]))]
  const stretches = edges
    .toSorted((a, b) => a - b)
    .map((from, index, all) => [from, all[index + 1] ?? from] as const)
  return steps
    .toSorted((one, other) => one.begunAt - other.begunAt)
    .map(({ name, begunAt, endedAt, after }) => {
      const own = stretches.filter(([from, to]) => from >= begunAt && to <= endedAt)
      const seconds = own.reduce(
        (sum, [from, to]) => sum + (to - from) / countDuring(steps, from, to),
        0,
      )
      return { name, seconds, after }
    })
}

function countDuring(steps: MeasuredStep[], from: number, to: number): number {
  return steps.filter(({ begunAt, endedAt }) => begunAt <= from && endedAt >= to).length
}

/** The same work, had one step of it been shared out in so many. */
export function divided(work: Work[], name: string, pieces: number): Work[] {
  const nameOf = (piece: number): string => `${name} ${piece + 1}/${pieces}`
  const names = Array.from({ length: pieces }, (_, piece) => nameOf(piece))
  return work.flatMap((step) => {
    const after = step.after.flatMap((each) => (each === name ? names : [each]))
    if (step.name !== name) return [{ ...step, after }]
    return names.map((own) => ({ name: own, seconds: step.seconds / pieces, after }))
  })
}

/** What every step, and every worker, costs besides. */
export interface Overhead {
  /** From the commit that makes a step possible to its start. */
  startSeconds: number
  /** Every further worker fetches the source before the first step that it takes. */
  downloadSeconds: number
}

/**
 * Seconds from the first step to the end of the last: whoever is free takes the first of the list that may begin. Throws
 * where a step waits for itself or for what is not there.
 */
export function makespan(work: Work[], workers: number, overhead: Overhead): number {
  const endOf = new Map<string, number>()
  const waiting = [...work]
  const freeAt = Array.from({ length: workers }, () => 0)
  // What the one worker fetched is in the time of its steps.
  const hasSource = freeAt.map((_, index) => index === 0)
  while (waiting.length > 0) {
    const { step, possibleAt } = next(waiting, endOf, Math.min(...freeAt))
    // Who is free for the longest; of those who were free in time, one that has the source.
    const ready = freeAt.map((at) => Math.max(at, possibleAt))
    const soonest = Math.min(...ready)
    const candidates = ready.flatMap((at, index) => (at === soonest ? [index] : []))
    const taker = candidates.find((index) => hasSource[index]) ?? candidates[0] ?? 0
    const fetching = hasSource[taker] ? 0 : overhead.downloadSeconds
    const end = soonest + overhead.startSeconds + fetching + step.seconds
    hasSource[taker] = true
    freeAt[taker] = end
    endOf.set(step.name, end)
    waiting.splice(waiting.indexOf(step), 1)
  }
  return Math.max(0, ...endOf.values())
}

/** The first that may begin by then; if there is none, the one that may soonest. */
function next(
  waiting: Work[],
  endOf: Map<string, number>,
  by: number,
): { step: Work; possibleAt: number } {
  const possible = waiting.flatMap((step) => {
    const ends = step.after.map((name) => endOf.get(name))
    return ends.includes(undefined)
      ? []
      : [{ step, possibleAt: Math.max(0, ...(ends as number[])) }]
  })
  const soonest = possible.toSorted((one, other) => one.possibleAt - other.possibleAt)[0]
  if (soonest === undefined) throw new Error('these steps wait for each other')
  return possible.find(({ possibleAt }) => possibleAt <= by) ?? soonest
}

/** Karp and Flatt: the part of the work that was as if only one could do it, from the speed-up of so many. */
export function serialShare(speedUp: number, workers: number): number {
  return (1 / speedUp - 1 / workers) / (1 - 1 / workers)
}

/** What one film, and one worker, take of what all workers share. */
export interface Costs {
  /** Core seconds of all steps of a film. */
  coreSeconds: number
  tasks: number
  /** Times that all workers are told to look, for a film. */
  rings: number
  /** Of PostgreSQL for a film with one worker: claims, results, progress, leases. */
  postgresSeconds: number
  /** Of PostgreSQL for the look of one worker. */
  lookSeconds: number
  /** Of PostgreSQL for one worker's sweep, and how often there is one. */
  sweepSeconds: number
  sweepEverySeconds: number
  sourceBytes: number
  /** All else that goes to and from the store for a film, whoever does it. */
  otherBytes: number
  /** Connections to PostgreSQL that a busy worker has open. */
  connections: number
}

/** What there is of it. */
export interface Capacities {
  postgresCores: number
  connections: number
  storeBytesPerSecond: number
  redisMessagesPerSecond: number
}

export type Resource =
  'PostgreSQL, CPU' | 'PostgreSQL, connections' | 'S3, bytes' | 'Redis, messages'

export interface Load {
  filmsPerHour: number
  /** Of each, the share that is used; above 1 it is what limits. */
  used: Record<Resource, number>
}

/** Every worker busy, with more films waiting than there are workers. */
export function steadyLoad(costs: Costs, workers: number, capacities: Capacities): Load {
  const filmsPerSecond = workers / costs.coreSeconds
  const looking = costs.rings * workers * costs.lookSeconds
  const postgres =
    filmsPerSecond * (costs.postgresSeconds + looking) +
    (workers * costs.sweepSeconds) / costs.sweepEverySeconds
  // In the worst case every step of a film is done by a worker that has not seen it before.
  const fetches = Math.min(workers, costs.tasks)
  const bytes = filmsPerSecond * (fetches * costs.sourceBytes + costs.otherBytes)
  return {
    filmsPerHour: filmsPerSecond * 3600,
    used: {
      'PostgreSQL, CPU': postgres / capacities.postgresCores,
      'PostgreSQL, connections': (workers * costs.connections) / capacities.connections,
      'S3, bytes': bytes / capacities.storeBytesPerSecond,
      'Redis, messages':
        (filmsPerSecond * costs.rings * workers) / capacities.redisMessagesPerSecond,
    },
  }
}

/** The fewest workers with which it is used up, or null if that takes more than `most`. */
export function saturatesAt(
  resource: Resource,
  costs: Costs,
  capacities: Capacities,
  most = 100_000,
): number | null {
  const isUsedUp = (workers: number): boolean =>
    steadyLoad(costs, workers, capacities).used[resource] >= 1
  if (!isUsedUp(most)) return null
  let [below, above] = [0, most]
  while (above - below > 1) {
    const middle = Math.floor((below + above) / 2)
    if (isUsedUp(middle)) above = middle
    else below = middle
  }
  return above
}

/** A straight line through measured points, by least squares: what `y` is without any `x`, and what each adds. */
export function line(points: { x: number; y: number }[]): { base: number; each: number } {
  const mean = (of: (point: { x: number; y: number }) => number): number =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length
  const [x, y] = [mean((point) => point.x), mean((point) => point.y)]
  const spread = mean((point) => (point.x - x) ** 2)
  const each = spread === 0 ? 0 : mean((point) => (point.x - x) * (point.y - y)) / spread
  return { base: y - each * x, each }
}
