import { existsSync } from 'node:fs'
import { access, constants, mkdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { pino, type Logger } from 'pino'
import pretty from 'pino-pretty'
import { createApp, type App } from '../app.ts'
import type { ProcessFacts } from '../wiring/process-facts.ts'
import type { DatabaseSettings } from '../config/database-settings.ts'
import { originOf, readSettings, type Settings } from '../config/settings.ts'
import { openDatabase } from '../db/database.ts'
import { migrate } from '../db/migrate.ts'
import { DatabaseAway } from '../db/outage.ts'
import { adviceOf, rootOf } from '../db/postgres.ts'
import { AppError } from '../errors.ts'
import { assertWhole } from '../moving/backup/empty-database.ts'
import { inspectTools } from '../media/tools.ts'
import { needMediaTools } from '../tasks/served-kinds.ts'

/** What is common to the commands: from the environment to a running app, and from a signal to an orderly end. */

const PROJECT_DIR = join(import.meta.dirname, '..', '..', '..')

export interface Launch {
  settings: Settings
  backendOrigin: string
  log: Logger
  app: App
}

export function loadSettings(): { settings: Settings; warnings: string[] } {
  const file = [join(process.cwd(), '.env'), join(PROJECT_DIR, '.env')].find((path) =>
    existsSync(path),
  )
  if (file) process.loadEnvFile(file)
  return readSettings(process.env, PROJECT_DIR)
}

/** Everything but the schema, which `prepare` sees to. Throws `misconfigured`. */
export async function launch(
  kind: 'service' | 'command' = 'command',
  /** What the command line says besides. */
  choose: (settings: Settings) => void = () => {},
): Promise<Launch> {
  const { settings, warnings } = loadSettings()
  choose(settings)
  await assertWritable(settings.dataDir)
  const log = kind === 'service' ? createLogger(settings) : commandLogger(settings)
  for (const warning of warnings) log.warn(warning)
  if (settings.listen.port === 0) settings.listen.port = await freePort(settings.listen)
  settings.database = databaseFor(kind, settings.database)
  const backendOrigin =
    settings.backendOrigin ?? originOf(settings.listen.host, settings.listen.port)
  const outlivesOutages = kind === 'service'
  const app = await createApp({ settings, backendOrigin, log, outlivesOutages })
  return { settings, backendOrigin, log, app }
}

/** Nobody waits for the answer of a command, which may copy all there is; as a name PostgreSQL lists its first word. */
function databaseFor(kind: 'service' | 'command', database: DatabaseSettings): DatabaseSettings {
  if (database.kind === 'sqlite') return database
  const applicationName = `videoflix ${process.argv[2] ?? ''}`.trim()
  const named = { ...database, applicationName }
  return kind === 'service' ? named : patient(named)
}

/** Schema and tools as they must be before any work is taken on. Throws `misconfigured`. */
export async function prepare({ app, settings, log }: Launch): Promise<void> {
  const [tools] = await Promise.all([
    settings.tasks.workInServer && needMediaTools(app.kinds) ? inspectTools(settings.ffmpeg) : null,
    migrateOrExplain(settings),
  ])
  const [problem] = tools?.problems ?? []
  if (problem) throw new AppError('misconfigured', `${problem.what} ${problem.remedy}`)
  for (const { what, remedy } of tools?.warnings ?? []) log.warn(`${what} ${remedy}`)
}

/** On connections of its own, as a migration may take its time. */
export async function migrateOrExplain({ database }: Settings): Promise<string[]> {
  const db = await openDatabase(patient(database))
  try {
    await assertWhole(db)
    return await migrate(db, database.kind)
  } catch (cause) {
    if (cause instanceof AppError && cause.code === 'misconfigured') throw cause
    throw new AppError('misconfigured', tellUnusable(database, cause), { cause })
  } finally {
    await db.destroy()
  }
}

/** For what does not migrate first. Throws `misconfigured`. */
export async function assertUsable({ app, settings: { database } }: Launch): Promise<void> {
  try {
    await sql`select 1`.execute(app.db)
  } catch (cause) {
    throw new AppError('misconfigured', tellUnusable(database, cause), { cause })
  }
}

/** Why, and what to do about it. */
export function tellUnusable(database: DatabaseSettings, cause: unknown): string {
  const where =
    database.kind === 'sqlite'
      ? `${database.file}: check that DATA_DIR is on a healthy, writable disk`
      : `PostgreSQL: ${adviceOf(database, cause)}`
  return `The database cannot be used (${rootOf(cause).message}) at ${where}.`
}

/** With statements that take as long as they need. */
function patient(database: DatabaseSettings): DatabaseSettings {
  return database.kind === 'sqlite' ? database : { ...database, statementTimeoutMs: null }
}

export const processFacts: ProcessFacts = {
  pid: process.pid,
  memoryBytes: Math.min(totalmem(), process.constrainedMemory() || Infinity),
  isRunning(pid) {
    try {
      process.kill(pid, 0)
      return true
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'EPERM'
    }
  },
}

const DRAIN_LIMIT_MS = 30_000

/** Ends the process in order on SIGTERM or SIGINT, at once on the second one. `delayMs` is how long `end` waits first. */
export function endOnSignal(log: Logger, end: () => Promise<void>, delayMs = 0): void {
  let isEnding = false
  const onSignal = (signal: NodeJS.Signals): void => {
    if (isEnding) process.exit(130)
    isEnding = true
    log.info(`${signal}: finishing what runs, then ending`)
    setTimeout(() => {
      log.error('it took too long to end in order')
      process.exit(1)
    }, delayMs + DRAIN_LIMIT_MS).unref()
    end().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'could not end in order')
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
}

/** What went wrong in one line for an operator; a stack only for what we did not foresee. */
export function explain(error: unknown): string {
  if (error instanceof DatabaseAway) {
    return `The database cannot be used now (${rootOf(error).message}). Run this again once it can.`
  }
  if (error instanceof AppError) {
    const fields = Object.entries(error.fields ?? {}).map(
      ([name, texts]) => `${name}: ${texts.join(' ')}`,
    )
    return fields.length > 0 ? fields.join(' ') : error.message
  }
  const { code, message, stack } = error as NodeJS.ErrnoException
  if (code === 'EADDRINUSE') {
    return `Another program listens on ${process.env['HOST'] ?? '127.0.0.1'}:${process.env['PORT'] ?? 8000} already: end it, or set PORT to a free port.`
  }
  if (code === 'EACCES' && message.includes('listen')) {
    return 'This port needs more rights: set PORT to one above 1023.'
  }
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return `This machine has no address ${process.env['HOST']}: set HOST to one it has.`
  }
  return stack ?? message
}

function createLogger(settings: Settings): Logger {
  const options = { level: settings.logLevel, base: null }
  if (!settings.debug) return pino(options)
  return pino(options, pretty({ colorize: process.stdout.isTTY, ignore: 'pid,hostname' }))
}

/** A command speaks by its output; what else is worth saying goes to the other stream. */
function commandLogger({ logLevel }: Settings): Logger {
  const level = logLevel === 'info' ? 'warn' : logLevel
  return pino({ level, base: null }, pretty({ destination: 2, ignore: 'pid,hostname', sync: true }))
}

async function assertWritable(dataDir: string): Promise<void> {
  try {
    await mkdir(dataDir, { recursive: true })
    await access(dataDir, constants.W_OK | constants.X_OK)
  } catch (cause) {
    throw new AppError(
      'misconfigured',
      `The folder ${dataDir} cannot be written (${(cause as NodeJS.ErrnoException).code}): change its owner, or set DATA_DIR to another.`,
      { cause },
    )
  }
}

/** The port itself, or one that is free for 0. Throws what listening would. */
export async function freePort(listen: { host: string; port: number }): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve, reject) => {
    probe.once('error', reject)
    probe.listen(listen, resolve)
  })
  const address = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  return typeof address === 'object' && address ? address.port : 0
}
