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
import { keep, quantile, rounded, title, verdict } from './report.ts'

/**
 * A catalogue of 100,000 videos behind the real server: pages, searches, the whole list, and what else the server does
 * meanwhile. `node bench/scale/catalogue.ts [sqlite|postgres]`; both without.
 */

const ROUNDS = 200
const WARM_UP = 20

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
  const rows = []
  for (const [what, query] of cases) {
    const row = await series(server, what, `/content/${query}`)
    rows.push(row)
  }
  console.table(rows)
  for (const { request: what, 'p95, ms': p95 } of rows) {
    // What is made to be hard for an index is measured, not promised.
    if (!MADE_TO_BE_HARD.has(what)) verdict(`${what}, p95 in ms`, p95, { atMost: 10 })
  }
  const admin = []
  for (const query of [
    '',
    '?page=2000',
    `?search=${IN_ALL}`,
    `?search=${IN_THREE}`,
    '?state=error',
    '?ordering=title',
  ]) {
    admin.push(await series(server, `admin ${query}`, `/admin/api/videos/${query}`))
  }
  console.table(admin)
  for (const { request: what, 'p95, ms': p95 } of admin)
    verdict(`${what}, p95 in ms`, p95, { atMost: 50 })
  keep(`catalogue-requests-${database.kind}`, { rows, admin })
}

async function series(server: Measured, what: string, path: string, more = {}) {
  await signIn(server)
  const times: number[] = []
  for (let round = 0; round < WARM_UP; round += 1) await ask(server, path, more)
  const cpuBefore = await cpuSeconds(server)
  for (let round = 0; round < ROUNDS; round += 1) {
    const begun = performance.now()
    await ask(server, path, more)
    times.push(performance.now() - begun)
  }
  return {
    request: what,
    'p50, ms': rounded(quantile(times, 0.5)),
    'p95, ms': rounded(quantile(times, 0.95)),
    'p99, ms': rounded(quantile(times, 0.99)),
    'CPU of the server, ms': rounded((((await cpuSeconds(server)) - cpuBefore) * 1000) / ROUNDS),
  }
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
  return await series(server, 'the list, unchanged (304)', '/content/', { 'if-none-match': etag })
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
