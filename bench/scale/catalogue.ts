import { once } from 'node:events'
import { join } from 'node:path'
import { sql } from 'kysely'
import type { DatabaseSettings } from '../../server/src/config/settings.ts'
import { openDatabase } from '../../server/src/db/database.ts'
import { migrate } from '../../server/src/db/migrate.ts'
import { startPostgres } from '../../test/harness/postgres.ts'
import { temporaryFolder } from '../../test/harness/temporary-folder.ts'
import {
  IN_ALL,
  IN_OLD_HALF,
  IN_ONE_OF_A_HUNDRED,
  IN_ONE_OF_THIRTY,
  IN_THREE,
  NEVER_TOGETHER,
  seedVideos,
  VIDEOS,
} from './catalogue-films.ts'
import {
  ask,
  cpuSeconds,
  hangUp,
  loopDelay,
  pause,
  residentMb,
  send,
  signIn,
  startServer,
  type Measured,
} from './catalogue-server.ts'
import { keep, median, quantile, rounded, title, verdict } from './report.ts'

/**
 * A catalogue of 100,000 videos behind the real server: pages, searches, the whole list, and what else the server does
 * meanwhile. `node bench/scale/catalogue.ts [sqlite|postgres]`; both without.
 */

/** All requests are measured in turns, so that a moment in which the machine is slow is not one request's alone. */
const PASSES = 5
const ROUNDS = 50
const WARM_UP = 10

const NEVER_TOGETHER_CASE = 'two words of half each, never together'
const OLD_HALF_CASE = 'a word of the older half'
const MADE_TO_BE_HARD = new Set([NEVER_TOGETHER_CASE, OLD_HALF_CASE])

const engines = process.argv[2] ? [process.argv[2]] : ['sqlite', 'postgres']
for (const engine of engines) await measure(engine)
hangUp()

async function measure(engine: string): Promise<void> {
  await using folder = await temporaryFolder()
  await using postgres = engine === 'postgres' ? await startPostgres({ isUsual: true }) : null
  const file = join(folder.path, 'videoflix.sqlite3')
  const database: DatabaseSettings = postgres
    ? settingsOf(await postgres.databaseUrl())
    : { kind: 'sqlite', file }
  title(`${VIDEOS} videos on ${engine}`)
  const seconds = await secondsOf(async () => {
    const db = await openDatabase(database)
    await migrate(db, database.kind)
    await seedVideos(db, database.kind)
    await db.destroy()
  })
  console.log(`written in ${rounded(seconds)} s`)
  const server = await startServer(folder.path, postgres ? database : null)
  try {
    await signIn(server)
    await measureRequests(database, server)
    await measureList(engine, server)
  } finally {
    server.child.kill('SIGTERM')
    await once(server.child, 'exit')
  }
}

function settingsOf(url: string): DatabaseSettings {
  return {
    kind: 'postgres',
    url,
    tls: null,
    poolSize: 2,
    statementTimeoutMs: null,
    applicationName: 'bench',
  }
}

/** What PostgreSQL does by itself within a few minutes. */
async function settle(database: DatabaseSettings): Promise<void> {
  const db = await openDatabase(database)
  await sql`vacuum (analyze)`.execute(db)
  await db.destroy()
}

async function measureRequests(database: DatabaseSettings, server: Measured): Promise<void> {
  const indexed = await secondsOf(() => ask(server, `/content/?search=${IN_THREE}`))
  console.log(`first search, which waits until all words are taken in: ${rounded(indexed)} s`)
  if (database.kind === 'postgres') await settle(database)
  console.log(`resident: ${rounded(await residentMb(server))} MB`)
  const deep = await cursorAfter(server, 300)
  const cases: [string, string][] = [
    ['first page', '?limit=50'],
    ['a page after 15,000 videos', `?limit=50&cursor=${deep}`],
    ['a category', '?category=Drama'],
    ['a word of three videos', `?search=${IN_THREE}`],
    ['a word of all videos', `?search=${IN_ALL}`],
    ['a word of all, after 15,000', `?search=${IN_ALL}&cursor=${deep}`],
    ['a word of one in thirty', `?search=${IN_ONE_OF_THIRTY}`],
    ['a word of one in a hundred', `?search=${IN_ONE_OF_A_HUNDRED}`],
    ['a word of none', '?search=unheard-of'],
    ['two letters, as one types', '?search=do'],
    ['three letters and a category', '?search=vol&category=Drama'],
    [NEVER_TOGETHER_CASE, `?search=${NEVER_TOGETHER.join('+')}`],
    [OLD_HALF_CASE, `?search=${IN_OLD_HALF}`],
  ]
  const rows = await inPasses(
    server,
    cases.map(([what, query]) => ({ what, path: `/content/${query}` })),
  )
  console.table(rows)
  for (const { request: what, 'p95, ms': p95 } of rows) {
    // What is made to be hard for an index is measured, not promised.
    if (!MADE_TO_BE_HARD.has(what)) verdict(`${what}, p95 in ms`, p95, { atMost: 10 })
  }
  const queries = [
    '',
    '?page=2000',
    `?search=${IN_ALL}`,
    `?search=${IN_THREE}`,
    '?state=error',
    '?ordering=title',
  ]
  const admin = await inPasses(
    server,
    queries.map((query) => ({ what: `admin ${query}`, path: `/admin/api/videos/${query}` })),
  )
  console.table(admin)
  for (const { request: what, 'p95, ms': p95 } of admin)
    verdict(`${what}, p95 in ms`, p95, { atMost: 50 })
  keep(`catalogue-requests-${database.kind}`, { rows, admin })
}

interface Asked {
  what: string
  path: string
  headers?: Record<string, string>
}

/** p95 is that of a pass, the median of all. */
async function inPasses(server: Measured, asked: Asked[]) {
  const passes: Pass[][] = []
  for (let pass = 0; pass < PASSES; pass += 1) {
    await signIn(server)
    const told = []
    for (const each of asked) told.push(await onePass(server, each))
    passes.push(told)
  }
  return asked.map(({ what }, at) => {
    const told = passes.flatMap((pass) => pass[at] ?? [])
    const p95s = told.map(({ times }) => quantile(times, 0.95))
    return {
      request: what,
      'p50, ms': rounded(median(told.flatMap(({ times }) => times))),
      'p95, ms': rounded(median(p95s)),
      'p95 of the worst pass, ms': rounded(Math.max(...p95s)),
      'CPU of the server, ms': rounded(median(told.map(({ cpuMs }) => cpuMs))),
    }
  })
}

interface Pass {
  times: number[]
  cpuMs: number
}

async function onePass(server: Measured, { path, headers }: Asked): Promise<Pass> {
  for (let round = 0; round < WARM_UP; round += 1) await ask(server, path, headers)
  const cpuBefore = await cpuSeconds(server)
  const times: number[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    const begun = performance.now()
    await ask(server, path, headers)
    times.push(performance.now() - begun)
  }
  return { times, cpuMs: (((await cpuSeconds(server)) - cpuBefore) * 1000) / ROUNDS }
}

async function measureList(engine: string, server: Measured): Promise<void> {
  const before = await residentMb(server)
  const rows = []
  await signIn(server)
  const runs = ['nothing known yet', 'again', 'after one edit']
  for (const run of runs) {
    if (run === 'after one edit') await editNewest(server)
    await loopDelay(server)
    const around = aroundTheList(server)
    const list = await readList(server)
    const small = await around.stop()
    const delay = await loopDelay(server)
    rows.push({
      run,
      'first byte, ms': rounded(list.firstMs),
      'all, s': rounded(list.allMs / 1000),
      'MB sent': rounded(list.bytes / 1e6),
      'small request p99, ms': rounded(quantile(small, 0.99)),
      'loop p99, ms': rounded(delay.p99Ms),
      'loop max, ms': rounded(delay.maxMs),
      'resident, MB': rounded(await residentMb(server)),
    })
    if (run !== 'after one edit') {
      const { status } = await ask(server, '/content/', { 'if-none-match': list.etag })
      if (status !== 304) console.log(`an unchanged list was sent again: ${status}`)
    }
    if (run === 'nothing known yet') {
      verdict('event loop held up while the list is made, ms', delay.maxMs, { atMost: 50 })
    }
  }
  console.table(rows)
  const unchanged = await knownList(server)
  console.table([unchanged])
  verdict('resident after listing, MB more', (await residentMb(server)) - before, { atMost: 150 })
  keep(`catalogue-list-${engine}`, { rows, unchanged })
}

async function knownList(server: Measured) {
  const { etag } = await readList(server)
  const what = 'the list, unchanged (304)'
  const [row] = await inPasses(server, [
    { what, path: '/content/', headers: { 'if-none-match': etag } },
  ])
  return row
}

/** Small requests, one after the other, until they are stopped. */
function aroundTheList(server: Measured): { stop(): Promise<number[]> } {
  let isDone = false
  const times: number[] = []
  const running = (async () => {
    while (!isDone) {
      const begun = performance.now()
      await ask(server, '/content/99999/')
      times.push(performance.now() - begun)
      await pause(5)
    }
  })()
  return {
    async stop() {
      isDone = true
      await running
      return times
    },
  }
}

async function editNewest(server: Measured): Promise<void> {
  const body = JSON.stringify({ description: 'Edited.' })
  const headers = { cookie: server.cookie, 'content-type': 'application/json' }
  const reply = await fetch(`${server.url}/admin/api/videos/99998/`, {
    method: 'PATCH',
    headers,
    body,
  })
  if (!reply.ok) throw new Error(`editing: ${reply.status} ${await reply.text()}`)
}

async function cursorAfter(server: Measured, pages: number): Promise<string> {
  let cursor = ''
  for (let page = 0; page < pages; page += 1) {
    const { link } = await ask(server, `/content/?limit=50${cursor && `&cursor=${cursor}`}`)
    cursor = /cursor=([\w-]+)/.exec(link)?.[1] ?? ''
  }
  return cursor
}

async function readList(server: Measured) {
  const begun = performance.now()
  const reply = await send(server, '/content/')
  let [firstMs, bytes] = [0, 0]
  for await (const chunk of reply) {
    if (bytes === 0) firstMs = performance.now() - begun
    bytes += (chunk as Buffer).length
  }
  return { firstMs, bytes, allMs: performance.now() - begun, etag: reply.headers.etag ?? '' }
}

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now()
  await work()
  return (performance.now() - begun) / 1000
}
