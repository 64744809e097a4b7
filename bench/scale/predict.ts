import {
  divided,
  line,
  makespan,
  saturatesAt,
  serialShare,
  steadyLoad,
  workOf,
  type Capacities,
  type Costs,
  type Resource,
} from './model.ts'
import type { StatementCost } from './looks.ts'
import { kept, median, rounded, title, verdict } from './report.ts'
import type { FilmRun } from './site.ts'
import type { TaskCost } from './tasks.ts'

/** From what the other parts have measured to a hundred workers: `node bench/scale/predict.ts`. */

const WORKERS = [1, 2, 4, 8, 16, 32, 64, 100]
/** Assumed, not measured: a server for PostgreSQL and a network as one rents them, with their usual settings. */
const CAPACITIES: Capacities = {
  postgresCores: 4,
  connections: 100,
  storeBytesPerSecond: 10e9 / 8,
  redisMessagesPerSecond: 100_000,
}
const SWEEP_EVERY_S = 10
const RESOURCES: Resource[] = [
  'PostgreSQL, CPU',
  'PostgreSQL, connections',
  'S3, bytes',
  'Redis, messages',
]

const tasks = (kept('tasks') as { ours: TaskCost[] }).ours
const { costs: statements } = kept('looks') as { costs: StatementCost[] }
const film = kept('speed-up') as { runs: FilmRun[]; downloadSeconds: number }
const [one, two] = film.runs
if (one === undefined || two === undefined) throw new Error('speed-up.ts has kept no runs')

const work = workOf(one.steps)
const overhead = {
  startSeconds: median(tasks.map(({ startMs }) => startMs.p50)) / 1000,
  downloadSeconds: film.downloadSeconds,
}
const wallOf = (workers: number): number => makespan(work, workers, overhead)
/** The one run of the encoder that goes over the whole film: sound, stills and small qualities. */
const WHOLE = 'encode small'
const chunks = work.filter(({ name }) => name.startsWith('encode ')).length - 1
const shared = divided(work, WHOLE, Math.max(1, chunks))

title(`A film of ${one.filmSeconds} s, as the model has it`)
console.table(
  WORKERS.map((workers) => {
    const speedUp = wallOf(1) / wallOf(workers)
    const measured = film.runs.find((run) => run.workers === workers)?.wallSeconds
    return {
      workers,
      'wall, s': rounded(wallOf(workers)),
      'measured, s': measured === undefined ? '' : rounded(measured),
      'speed-up': rounded(speedUp),
      efficiency: rounded(speedUp / workers),
      'speed-up if all were in chunks': rounded(
        makespan(shared, 1, overhead) / makespan(shared, workers, overhead),
      ),
      'serial share': workers === 1 ? '' : rounded(serialShare(speedUp, workers)),
    }
  }),
)

const sumOf = (of: (step: (typeof work)[number]) => number): number =>
  work.reduce((sum, step) => sum + of(step), 0)
const alone = line(tasks.map(({ workers, paced }) => ({ x: workers, y: paced.postgresMs / 1000 })))
/** One when a task is written, and one when it ends. */
const RINGS_OF_A_TASK = 2
const costs: Costs = {
  coreSeconds: sumOf(({ seconds }) => seconds),
  tasks: one.tasks,
  rings: RINGS_OF_A_TASK * one.tasks,
  postgresSeconds: one.postgresSeconds,
  lookSeconds: Math.max(0, alone.each) / RINGS_OF_A_TASK,
  sweepSeconds: costOf('sweep') + 2 * costOf('look'),
  sweepEverySeconds: SWEEP_EVERY_S,
  sourceBytes: one.sourceBytes,
  otherBytes: Math.max(0, one.fromStoreBytes + one.toStoreBytes - one.sourceBytes),
  connections: Math.ceil(one.connections),
}

title('Films of that kind, every worker busy')
console.table(
  WORKERS.map((workers) => {
    const { filmsPerHour, used } = steadyLoad(costs, workers, CAPACITIES)
    const shares = RESOURCES.map((resource) => [resource, percent(used[resource])])
    return { workers, 'films/h': rounded(filmsPerHour), ...Object.fromEntries(shares) }
  }),
)
console.table(
  RESOURCES.map((resource) => ({
    resource,
    'used up at, workers': saturatesAt(resource, costs, CAPACITIES) ?? 'never',
  })),
)
console.table(costs)
console.table({ ...CAPACITIES, note: 'assumed' })
verdict('the model with two workers, to what was measured', wallOf(2) / two.wallSeconds, {
  atMost: 1.15,
})
verdict('the same, from below', wallOf(2) / two.wallSeconds, { atLeast: 0.85 })

/** With the fullest table that was measured, in seconds of PostgreSQL. */
function costOf(statement: string): number {
  return (statements.findLast((cost) => cost.statement === statement)?.postgresMs ?? 0) / 1000
}

function percent(share: number): string {
  return `${rounded(share * 100)} %`
}
