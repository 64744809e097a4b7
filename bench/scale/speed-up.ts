import { statSync } from 'node:fs'
import { keep, rounded, title } from './report.ts'
import { looped } from '../pipeline/films.ts'
import { startSite, type FilmRun } from './site.ts'
import { serialShare } from './model.ts'

/**
 * One film, with one worker and with two, on PostgreSQL, Redis and S3: `node bench/scale/speed-up.ts [TIMES]`, of how
 * often the half minute is repeated. Each worker has one core, as ffmpeg would use both.
 */

const [times = 4] = process.argv.slice(2).map(Number)
const path = looped(times - 1)
const filmSeconds = times * 30

await using site = await startSite()
const runs: FilmRun[] = []
for (const workers of [1, 2]) {
  runs.push(
    await site.process({
      path,
      filmSeconds,
      cores: Array.from({ length: workers }, (_, core) => core),
    }),
  )
}
const [one, two] = runs
if (one === undefined || two === undefined) throw new Error('there was no run')

title(`A film of ${filmSeconds} s in 1080p, ${rounded(statSync(path).size / 1e6)} MB`)
for (const run of runs) console.table(run.steps.map(stepRow(run)))
console.table(runs.map(runRow))
const speedUp = one.wallSeconds / two.wallSeconds
console.table({
  'speed-up with two workers': rounded(speedUp),
  efficiency: rounded(speedUp / 2),
  'serial share (Karp and Flatt)': rounded(serialShare(speedUp, 2)),
})
keep('speed-up', { runs, downloadSeconds: await site.downloadSeconds() })

function stepRow(run: FilmRun) {
  return (step: FilmRun['steps'][number]) => ({
    workers: run.workers,
    step: step.name,
    'waited, s': rounded(step.begunAt - step.possibleAt),
    'from, s': rounded(step.begunAt),
    'to, s': rounded(step.endedAt),
    'took, s': rounded(step.endedAt - step.begunAt),
    'last of all': run.criticalPath.includes(step.name) ? 'critical' : '',
  })
}

function runRow(run: FilmRun) {
  return {
    workers: run.workers,
    'wall, s': rounded(run.wallSeconds),
    'from S3, MB': rounded(run.fromStoreBytes / 1e6),
    'to S3, MB': rounded(run.toStoreBytes / 1e6),
    tasks: run.tasks,
    transactions: run.transactions,
    'PostgreSQL, CPU s': rounded(run.postgresSeconds),
    'connections of a worker': rounded(run.connections / run.workers),
  }
}
