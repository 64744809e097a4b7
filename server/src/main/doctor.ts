import { mkdir, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'kysely'
import { inspectTools } from '../media/tools.ts'
import { explain, launch, type Launch } from './lifecycle.ts'

type Finding = { state: 'good' | 'warning' | 'bad'; text: string }

const MARKS = { good: 'ok     ', warning: 'warning', bad: 'PROBLEM' } as const

/** `videoflix doctor`: looks at everything that Videoflix needs, and says what to do about each finding. */
export async function doctor(): Promise<void> {
  const launched = await launch()
  try {
    const checks: [string, () => Promise<Finding[]>][] = [
      ['ffmpeg', () => checkFfmpeg(launched)],
      ['database', () => checkDatabase(launched)],
      ['storage', () => checkStorage(launched)],
      ['mail', () => checkMail(launched)],
      ['clock', () => checkClock(launched)],
      ['disk', () => checkDisk(launched)],
    ]
    const results = await Promise.all(
      checks.map(async ([name, check]) => ({
        name,
        findings: await check().catch((error: unknown) => [bad(explain(error))]),
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

async function checkFfmpeg({ settings }: Launch): Promise<Finding[]> {
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

async function checkDatabase({ app, settings }: Launch): Promise<Finding[]> {
  await sql`select 1`.execute(app.db)
  const kind = settings.database.kind === 'sqlite' ? settings.database.file : 'PostgreSQL'
  try {
    await app.db.selectFrom('users').select('id').limit(1).execute()
  } catch {
    return [
      warning(
        `${kind} answers, but has no tables yet: run \`videoflix migrate\` or start the server.`,
      ),
    ]
  }
  return [good(`${kind} answers`)]
}

async function checkStorage({ app }: Launch): Promise<Finding[]> {
  await app.originals.check()
  await app.media.check()
  return [good('originals and media can be written')]
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

async function checkDisk({ settings }: Launch): Promise<Finding[]> {
  await mkdir(settings.media.root, { recursive: true })
  const folders = [...new Set([settings.dataDir, settings.media.root])]
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
