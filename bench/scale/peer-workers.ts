import { Logger, run, type Runner } from 'graphile-worker'
import { Pool } from 'pg'
import { begin, order, ran } from './crew-member.ts'

/** Workers of graphile-worker, whose jobs do nothing. As many at once in each as in one of ours. */

const CONCURRENCY = 4
const POOL_SIZE = 10

const silent = new Logger(() => () => {})
const runners = await Promise.all(Array.from({ length: order.workers }, startRunner))
begin(async () => void (await Promise.all(runners.map((runner) => runner.stop()))))

async function startRunner(): Promise<Runner> {
  return await run({
    pgPool: new Pool({ connectionString: order.databaseUrl, max: POOL_SIZE }),
    concurrency: CONCURRENCY,
    noHandleSignals: true,
    // As often as ours sweeps.
    pollInterval: 5000,
    logger: silent,
    taskList: { end: (payload) => ran((payload as { number: number }).number) },
  })
}
