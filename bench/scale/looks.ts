import { sql } from 'kysely'
import type { Database } from '../../server/src/db/database.ts'
import { migrate } from '../../server/src/db/migrate.ts'
import { forgetFinished, listOwners, claim, listDueLanes } from '../../server/src/tasks/queue.ts'
import { LANES, type Lane } from '../../server/src/tasks/task.ts'
import { startPostgres } from '../../test/harness/postgres.ts'
import { instant, treeCpuSeconds } from './cpu.ts'
import { postmasterOf } from './postmaster.ts'
import { openDatabaseAt } from './queues.ts'
import { keep, median, rounded, title, verdict } from './report.ts'

/**
 * What the statements cost that every worker makes again and again, with few tasks in the table and with very many; and
 * many who claim at once. `node bench/scale/looks.ts [ROWS]`
 */

const [ROWS = 100_000] = process.argv.slice(2).map(Number)
const ROUNDS = 300
const CLAIMERS = [1, 10, 100]
const CLAIMING_MS = 3000

export interface StatementCost {
  statement: string
  table: string
  /** There and back. */
  ms: number
  /** CPU of PostgreSQL. */
  postgresMs: number
}

await using postgres = await startPostgres({ maxConnections: 300, isUsual: true })
const url = await postgres.databaseUrl()
const db = await openDatabaseAt(url)
await migrate(db, 'postgres')
const root = await postmasterOf(db)
const lanes = Object.keys(LANES) as Lane[]

title(`Looking at a table of tasks, ${ROUNDS} times each`)
await fill('process_source', 'files', 1000, { areDone: false })
const costs = await statementsWith('1,000 due')
for (const lane of lanes) await fill(LANES[lane][0], lane, ROWS / lanes.length, { areDone: true })
costs.push(...(await statementsWith(`and ${ROWS} done`)))
await fill('process_source', 'files', ROWS, { areDone: false })
costs.push(...(await statementsWith(`and ${ROWS} due`)))
console.table(
  costs.map(({ ms, postgresMs, ...rest }) => ({
    ...rest,
    'ms, median': rounded(ms),
    'PostgreSQL, ms': rounded(postgresMs),
  })),
)

title(`Claiming at once, of ${ROWS}`)
const claiming: { claimers: number; perSecond: number }[] = []
for (const claimers of CLAIMERS) claiming.push({ claimers, perSecond: await claimAtOnce(claimers) })
console.table(
  claiming.map((row) => ({ claimers: row.claimers, 'claims/s': rounded(row.perSecond) })),
)

keep('looks', { costs })
for (const statement of new Set(costs.map((cost) => cost.statement))) {
  const [few, , many] = costs.filter((cost) => cost.statement === statement)
  verdict(
    `${statement}, with very many tasks to few`,
    (many?.postgresMs ?? 0) / (few?.postgresMs ?? 1),
    {
      atMost: 3,
    },
  )
}
const best = Math.max(...claiming.map(({ perSecond }) => perSecond))
verdict('claims/s of 100 at once, to the best', (claiming.at(-1)?.perSecond ?? 0) / best, {
  atLeast: 0.5,
})
await db.destroy()

async function statementsWith(table: string): Promise<StatementCost[]> {
  await sql`vacuum analyze tasks`.execute(db)
  const far = new Date(Date.now() - 30 * 86_400_000)
  return [
    await cost('look', table, () => listDueLanes(db, lanes, new Date())),
    await cost('claim', table, () => claimOne(db, 'files')),
    await cost('claim, nothing due', table, () => claimOne(db, 'quick')),
    await cost('sweep', table, async () => {
      await listOwners(db)
      await forgetFinished(db, far)
    }),
  ]
}

async function cost(
  statement: string,
  table: string,
  run: () => Promise<unknown>,
): Promise<StatementCost> {
  for (let round = 0; round < 10; round += 1) await run()
  const before = treeCpuSeconds(root)
  const times: number[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    const begun = instant()
    await run()
    times.push(instant() - begun)
  }
  const postgresMs = ((treeCpuSeconds(root) - before) * 1000) / ROUNDS
  return { statement, table, ms: median(times), postgresMs }
}

async function claimOne(from: Database, lane: Lane): Promise<boolean> {
  const now = new Date()
  const lease = { owner: 'bench', now, until: new Date(now.getTime() + 600_000) }
  return (await claim(from, lane, lease)) !== null
}

/** Claims a second, of so many connections. */
async function claimAtOnce(claimers: number): Promise<number> {
  const connections = await Promise.all(Array.from({ length: claimers }, () => openDatabaseAt(url)))
  await Promise.all(connections.map((own) => claimOne(own, 'files')))
  const end = instant() + CLAIMING_MS
  let claimed = 0
  await Promise.all(
    connections.map(async (own) => {
      while (instant() < end && (await claimOne(own, 'files'))) claimed += 1
    }),
  )
  await Promise.all(connections.map((own) => own.destroy()))
  return claimed / (CLAIMING_MS / 1000)
}

async function fill(
  kind: string,
  lane: Lane,
  count: number,
  { areDone }: { areDone: boolean },
): Promise<void> {
  const done = areDone ? sql`now(), 'done'` : sql`null, null`
  await sql`
    insert into tasks (kind, lane, payload, subject, due_at, created_at, finished_at, outcome)
    select ${kind}, ${lane}, '{"sourceId": 1}', 'video:' || n, now() - n * interval '1 ms', now(), ${done}
    from generate_series(1, ${sql.lit(count)}) n`.execute(db)
}
