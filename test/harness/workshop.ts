import { pino } from 'pino'
import { TestClock } from './app.ts'
import { barrier } from './barrier.ts'
import type { Settings } from '../../server/src/config/settings.ts'
import { transact, type Database } from '../../server/src/db/database.ts'
import type { TaskRow } from '../../server/src/db/tables.ts'
import type { Doorbell } from '../../server/src/ports/doorbell/doorbell.ts'
import { inProcessDoorbell } from '../../server/src/ports/doorbell/in-process.ts'
import { newOwner } from '../../server/src/tasks/owner.ts'
import { enqueue } from '../../server/src/tasks/queue.ts'
import { servedKinds } from '../../server/src/tasks/served-kinds.ts'
import type {
  Handlers,
  RunningTask,
  TaskFailure,
  TaskHandler,
} from '../../server/src/tasks/task.ts'
import { createWorker, type Worker } from '../../server/src/tasks/worker.ts'

/** Workers on a real database, with handlers that do what a test says. */

export type MediaTask = RunningTask<'encode_part'>
export type QuickTask = RunningTask<'tidy_video'>

export const SETTINGS: Settings['tasks'] = {
  leaseMs: 30_000,
  // Nothing in these tests is found by a sweep unless the test is about sweeping.
  sweepIntervalMs: 600_000,
  timeoutMs: 60_000,
  attempts: 3,
  concurrency: 1,
  only: null,
  workInServer: true,
  sweepsOrphans: false,
  workDir: '/nowhere',
}

let lastPid = 5_000_000

export interface WorkshopOptions {
  db: Database
  clock?: TestClock
  doorbell?: Doorbell
  settings?: Partial<Settings['tasks']>
  /** What runs of each lane do; they commit nothing but their end unless told. */
  media?: (task: MediaTask) => Promise<void>
  quick?: (task: QuickTask) => Promise<void>
  giveUp?: TaskHandler<'encode_part'>['giveUp']
  retryAfterMs?: (failures: number) => number
  isRunning?: (pid: number) => boolean
  /** What it takes, as an operator says it; all unless told. */
  only?: string[]
  alsoSweep?: () => Promise<void>
}

export interface Workshop extends AsyncDisposable {
  worker: Worker
  clock: TestClock
  doorbell: Doorbell
  owner: string
  /** Every run so far, by task id. */
  runs: { id: number; attempt: number; leaseToken: number }[]
  givenUp: { sourceId: number; failure: TaskFailure }[]
  logs: string[]
  /** Rings, and waits until all is done that is due. */
  work(): Promise<void>
}

export function aWorkshop(options: WorkshopOptions): Workshop {
  const { db, clock = new TestClock(), doorbell = inProcessDoorbell() } = options
  const { media = done, quick = done, giveUp = () => Promise.resolve() } = options
  const runs: Workshop['runs'] = []
  const givenUp: Workshop['givenUp'] = []
  const logs: string[] = []
  const owner = newOwner((lastPid += 1))
  const noting =
    <T extends { id: number; attempt: number; leaseToken: number }>(
      run: (task: T) => Promise<void>,
    ) =>
    async (task: T) => {
      const { id, attempt, leaseToken } = task
      runs.push({ id, attempt, leaseToken })
      await run(task)
    }
  const handlers: Handlers = {
    encode_part: {
      run: noting(media),
      ...(options.retryAfterMs && { retryAfterMs: options.retryAfterMs }),
      async giveUp(trx, payload, failure, now) {
        await giveUp(trx, payload, failure, now)
        givenUp.push({ ...payload, failure })
      },
    },
    process_source: { run: done, giveUp: () => Promise.resolve() },
    copy_streams: { run: done, giveUp: () => Promise.resolve() },
    extract_subtitles: { run: done, giveUp: () => Promise.resolve() },
    package_rungs: { run: done, giveUp: () => Promise.resolve() },
    tidy_video: { attempts: 2, run: noting(quick), giveUp: () => Promise.resolve() },
    send_mail: { run: done, giveUp: () => Promise.resolve() },
    send_webhook: { run: done, giveUp: () => Promise.resolve() },
    sweep_orphans: { run: done, giveUp: () => Promise.resolve() },
  }
  const worker = createWorker({
    db,
    clock,
    doorbell,
    handlers,
    owner,
    log: pino({ level: 'debug' }, { write: (line: string) => void logs.push(line) }),
    settings: { ...SETTINGS, ...options.settings },
    kinds: servedKinds(options.only ?? null),
    encodings: options.settings?.concurrency ?? 1,
    isRunning: options.isRunning ?? (() => true),
    ...(options.alsoSweep && { alsoSweep: options.alsoSweep }),
  })
  return {
    worker,
    clock,
    doorbell,
    owner,
    runs,
    givenUp,
    logs,
    work: () => worker.idle(),
    [Symbol.asyncDispose]: () => worker.drain(),
  }
}

export async function done(task: Pick<MediaTask, 'commit'>): Promise<void> {
  await task.commit(() => Promise.resolve())
}

/** Runs that wait until they are told, and tell when they have begun. */
export function pausing() {
  const begun = barrier<MediaTask & QuickTask>()
  const go = barrier()
  return {
    begun: begun.opened,
    go: () => go.open(),
    async run(task: MediaTask | QuickTask): Promise<void> {
      begun.open(task as MediaTask & QuickTask)
      await go.opened
      await done(task)
    },
    /** As a real one: stops when it is told to. */
    async obedient(task: MediaTask | QuickTask): Promise<void> {
      begun.open(task as MediaTask & QuickTask)
      await new Promise((_resolve, reject) => {
        task.signal.addEventListener('abort', () => reject(new Error('aborted')))
        void go.opened.then(() => reject(new Error('told to go')))
      })
    },
  }
}

let sources = 0

/** Gives the id of the new task. */
export async function aMediaTask(db: Database, options: { dueAt?: Date } = {}): Promise<number> {
  const payload = { sourceId: (sources += 1), stepId: sources }
  return await transact(db, async (trx) => {
    const subject = `video:${payload.sourceId}`
    await enqueue(trx, 'encode_part', payload, { subject, now: new Date(), ...options })
    return await lastId(trx)
  })
}

export async function aQuickTask(db: Database, options: { dueAt?: Date } = {}): Promise<number> {
  return await transact(db, async (trx) => {
    const payload = { videoId: 1, originalKeys: [] }
    await enqueue(trx, 'tidy_video', payload, { subject: 'tidy:1', now: new Date(), ...options })
    return await lastId(trx)
  })
}

async function lastId(db: Database): Promise<number> {
  const row = await db
    .selectFrom('tasks')
    .select('id')
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirstOrThrow()
  return row.id
}

export async function taskOf(db: Database, id: number): Promise<TaskRow> {
  return await db.selectFrom('tasks').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
}
