import { mkdir, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'kysely'
import type { Database } from '../db/database.ts'
import { isDatabaseAway } from '../db/outage.ts'
import { inspectTools } from '../media/tools.ts'
import { listWaiting, tellNeglected } from '../tasks/neglected.ts'
import { needMediaTools } from '../tasks/served-kinds.ts'
import { explain, launch, tellUnusable, type Launch } from './lifecycle.ts'

type Check = [string, () => Promise<Finding[]>]
type Finding = { state: 'good' | 'warning' | 'bad'; text: string }

const MARKS = { good: 'ok     ', warning: 'warning', bad: 'PROBLEM' } as const

/** `videoflix doctor`: looks at everything that Videoflix needs, and says what to do about each finding. */
export async function doctor(): Promise<void> {
  const launched = await launch()
  try {
    const checks: Check[] = [
      ['ffmpeg', () => checkFfmpeg(launched)],
      ['database', () => checkDatabase(launched)],
      ['tasks', () => checkTasks(launched)],
      ...(launched.app.redis ? [['redis', () => checkRedis(launched)] satisfies Check] : []),
      ['storage', () => checkStorage(launched)],
      ['mail', () => checkMail(launched)],
      ['clock', () => checkClock(launched)],
      ['disk', () => checkDisk(launched)],
    ]
    const results = await Promise.all(
      checks.map(async ([name, check]) => ({
        name,
        findings: await check().catch((error: unknown) => [
          isDatabaseAway(error) ? notCheckable() : bad(explain(error)),
        ]),
      })),
    )
    for (const { name, findings } of results) {
      for (const { state, text } of findings) {
        process.stdout.write(`${MARKS[state]}  ${name.padEnd(9)} ${text}\n`)
      }
    }
    if (results.some(({ findings }) => findings.some(({ state }) => state === 'bad'))) {
      process.exitCode = 1
    }
  } finally {
    await launched.app.close()
  }
}

const good = (text: string): Finding => ({ state: 'good', text })
const warning = (text: string): Finding => ({ state: 'warning', text })
const bad = (text: string): Finding => ({ state: 'bad', text })
const notCheckable = (): Finding => warning('not checked, as the database does not answer.')

async function checkFfmpeg({ app, settings }: Launch): Promise<Finding[]> {
  if (!needMediaTools(app.kinds)) return [good('not needed here, by WORKER_ONLY')]
  const report = await inspectTools(settings.ffmpeg)
  return [
    ...report.problems.map(({ what, remedy }) => bad(`${what} ${remedy}`)),
    ...report.warnings.map(({ what, remedy }) => warning(`${what} ${remedy}`)),
    ...(report.problems.length === 0
      ? [good(`ffmpeg ${report.version}, with everything that is needed to encode`)]
      : []),
    ...(report.sandbox.bubblewrap === null ? [] : [good('ffmpeg is confined by bubblewrap')]),
  ]
}

const OLDEST_POSTGRES = 14

async function checkDatabase({ app, settings }: Launch): Promise<Finding[]> {
  const { database } = settings
  try {
    const version = database.kind === 'postgres' ? await postgresVersion(app.db) : null
    const name = database.kind === 'sqlite' ? database.file : `PostgreSQL ${version}`
    if (version !== null && Number.parseInt(version) < OLDEST_POSTGRES) {
      return [bad(`${name} is too old: use ${OLDEST_POSTGRES} or newer.`)]
    }
    if (await hasTables(app.db)) return [good(`${name} answers`)]
    const advice = 'run `videoflix migrate` or start the server'
    return [warning(`${name} answers, but has no tables yet: ${advice}.`)]
  } catch (error) {
    return [bad(tellUnusable(database, error))]
  }
}

async function hasTables(db: Database): Promise<boolean> {
  const tables = await db.introspection.getTables()
  return tables.some(({ name }) => name === 'tasks')
}

/** Such as `15.18`; a packager's name follows in what the server says. */
async function postgresVersion(db: Database): Promise<string> {
  const { rows } = await sql<{ server_version: string }>`show server_version`.execute(db)
  return rows[0]?.server_version.split(' ')[0] ?? ''
}

async function checkTasks({ app }: Launch): Promise<Finding[]> {
  const waiting = (await hasTables(app.db)) ? await listWaiting(app.db, app.clock.now()) : []
  if (waiting.length === 0) return [good('nothing has been waiting for long')]
  return waiting.map((each) =>
    each.isNeglected
      ? warning(tellNeglected(each))
      : good(`${each.count} of the kind ${each.kind} wait, and workers are busy`),
  )
}

const OLDEST_REDIS = 5

/** Whoever set it wants it, so its absence is a problem, although everything goes on without. */
async function checkRedis({ app: { redis } }: Launch): Promise<Finding[]> {
  if (!redis) return []
  try {
    const version = await redis.version()
    return Number.parseInt(version) >= OLDEST_REDIS
      ? [good(`Redis ${version} answers at ${redis.address}`)]
      : [bad(`Redis ${version} at ${redis.address} is too old: use ${OLDEST_REDIS} or newer.`)]
  } catch (error) {
    const { cause } = error as { cause?: Error }
    return [
      bad(
        `${explain(error)} (${cause?.message}) Check REDIS_URL or REDIS_*, and that it runs; until then servers and workers hear of each other late.`,
      ),
    ]
  }
}

async function checkStorage({ app, settings, backendOrigin }: Launch): Promise<Finding[]> {
  for (const store of [app.originals, app.intermediates, app.media]) await store.check()
  const { bucket } = app
  if (!bucket) return [good('originals and media can be written')]
  await bucket.checkDelivery()
  const origins = [...new Set([backendOrigin, ...settings.corsOrigins])]
  const allowed = await Promise.all(origins.map((origin) => bucket.allowsOrigin(origin)))
  const refused = origins.filter((_, index) => !allowed[index])
  return [
    good(`the bucket ${settings.s3?.bucket} can be written, and media be fetched from it`),
    ...refused.map((origin) =>
      warning(
        `the bucket lets no page of ${origin} play HLS or DASH or send uploads: run \`videoflix s3-cors\`, or set its CORS rules.`,
      ),
    ),
  ]
}

async function checkMail({ app, settings }: Launch): Promise<Finding[]> {
  const { kind } = settings.mail
  if (kind === 'log') {
    return settings.debug
      ? [good('mails go to the log and to /dev/mail/ (DEBUG)')]
      : [warning('mails go nowhere: set EMAIL_HOST, or nobody can sign up.')]
  }
  await app.mailer.check()
  return [good(kind === 'smtp' ? `${settings.mail.host} takes our mail` : 'mails go to a folder')]
}

const TOLERATED_SKEW_MS = 5000

/** Tokens, links and leases compare times: ours must agree with the disk's and the database's. */
async function checkClock({ app, settings }: Launch): Promise<Finding[]> {
  const path = join(settings.dataDir, '.clock')
  await writeFile(path, '')
  const { mtimeMs } = await stat(path)
  await rm(path, { force: true })
  const clocks: [string, number][] = [['the disk', mtimeMs]]
  if (settings.database.kind === 'postgres') {
    const { rows } = await sql<{ now: Date }>`select now() as now`.execute(app.db)
    clocks.push(['PostgreSQL', rows[0]?.now.getTime() ?? 0])
  }
  const wrong = clocks.filter(([, time]) => Math.abs(time - Date.now()) > TOLERATED_SKEW_MS)
  if (wrong.length === 0) return [good(`it is ${new Date().toISOString()}`)]
  return wrong.map(([whose]) =>
    bad(`the clock of ${whose} differs from ours by more than 5 s: keep both right with NTP.`),
  )
}

async function checkDisk({ app, settings }: Launch): Promise<Finding[]> {
  const places = app.bucket ? [] : [settings.media.root]
  for (const place of places) await mkdir(place, { recursive: true })
  const folders = [...new Set([settings.dataDir, ...places])]
  return await Promise.all(
    folders.map(async (folder) => {
      const { bavail, bsize } = await statfs(folder)
      const free = bavail * bsize
      const text = `${folder} has ${(free / 1e9).toFixed(1)} GB free`
      if (free < settings.uploads.minFreeDiskBytes) {
        return bad(`${text}, less than MIN_FREE_DISK_BYTES: uploads are refused. Free some space.`)
      }
      return free < settings.uploads.maxBytes * 3
        ? warning(`${text}: a largest upload (MAX_UPLOAD_BYTES) with its renditions may not fit.`)
        : good(text)
    }),
  )
}
