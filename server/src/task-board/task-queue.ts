import { BaseAdapter } from '@bull-board/api/dist/queueAdapters/base.js'
import type { JobCounts, JobStatus, QueueJob, Status } from '@bull-board/api/typings/app'
import type { ExpressionBuilder, SqlBool, Expression } from 'kysely'
import type { Database } from '../db/database.ts'
import type { Tables, TaskRow } from '../db/tables.ts'
import { AppError } from '../errors.ts'
import type { Clock } from '../ports/clock.ts'
import { LANES, type Lane } from '../tasks/task.ts'

/** In Bull's words, in the order in which they are shown. */
const STATES = ['active', 'waiting', 'delayed', 'failed', 'completed'] as const
type State = (typeof STATES)[number]

const DESCRIPTIONS: Record<Lane, string> = {
  media: 'Encoding',
  files: 'Reading, copying and packaging films',
  quick: 'Mails and tidying up',
  webhooks: 'Telling others',
}

/** The tasks of one lane, as the database has them, for Bull Board to show: nothing can be changed there. */
export class TaskQueue extends BaseAdapter {
  readonly #needs: { db: Database; clock: Clock }
  readonly #lane: Lane

  constructor(needs: { db: Database; clock: Clock }, lane: Lane) {
    super('bullmq', { readOnlyMode: true, description: DESCRIPTIONS[lane] })
    this.#needs = needs
    this.#lane = lane
  }

  getName(): string {
    return this.#lane
  }

  async getJobCounts(): Promise<JobCounts> {
    const now = this.#needs.clock.now()
    const counts = await this.#needs.db
      .selectFrom('tasks')
      .where('kind', 'in', LANES[this.#lane])
      .select((eb) =>
        STATES.map((state) =>
          eb.fn
            .countAll<number>()
            .filterWhere(isIn(eb, state, now))
            .as(state),
        ),
      )
      .executeTakeFirstOrThrow()
    return counts
  }

  async getJobs(statuses: JobStatus[], start = 0, end = 9): Promise<QueueJob[]> {
    // A page far beyond the last, which no engine can count to.
    if (!Number.isSafeInteger(end)) return []
    const now = this.#needs.clock.now()
    const pages = await Promise.all(
      STATES.filter((state) => statuses.includes(state)).map((state) =>
        this.#needs.db
          .selectFrom('tasks')
          .selectAll()
          .where('kind', 'in', LANES[this.#lane])
          .where((eb) => isIn(eb, state, now))
          .orderBy(isOver(state) ? 'finished_at' : 'due_at', isOver(state) ? 'desc' : 'asc')
          .orderBy('id')
          .offset(start)
          .limit(end - start + 1)
          .execute(),
      ),
    )
    return pages.flat().map((row) => jobOf(row, now))
  }

  async getJob(id: string): Promise<QueueJob | null> {
    if (!/^\d{1,15}$/.test(id)) return null
    const row = await this.#needs.db
      .selectFrom('tasks')
      .selectAll()
      .where('id', '=', Number(id))
      .where('kind', 'in', LANES[this.#lane])
      .executeTakeFirst()
    return row ? jobOf(row, this.#needs.clock.now()) : null
  }

  getStatuses(): Status[] {
    return ['latest', ...this.getJobStatuses()]
  }

  getJobStatuses(): JobStatus[] {
    return [...STATES] as JobStatus[]
  }

  // What Bull has and tasks have not.
  getJobLogs = () => Promise.resolve([])
  getMetrics = () =>
    Promise.resolve({ meta: { count: 0, prevTS: 0, prevCount: 0 }, data: [], count: 0 })
  getRedisInfo = () => Promise.resolve(null)
  getJobSchedulers = () => Promise.resolve([])
  getJobSchedulersCount = () => Promise.resolve(0)
  getGlobalConcurrency = () => Promise.resolve(null)
  isPaused = () => Promise.resolve(false)

  // What the board does not offer where nothing may be changed.
  clean = refuse
  addJob = refuse
  pause = refuse
  resume = refuse
  empty = refuse
  obliterate = refuse
  promoteAll = refuse
  removeJobScheduler = refuse
  updateJobScheduler = refuse
  runJobSchedulerNow = refuse
  setGlobalConcurrency = refuse
}

const isOver = (state: State): boolean => state === 'failed' || state === 'completed'

function isIn(
  eb: ExpressionBuilder<Tables, 'tasks'>,
  state: State,
  now: Date,
): Expression<SqlBool> {
  if (state === 'failed') return eb('outcome', '=', 'failed')
  if (state === 'completed') return eb('outcome', '=', 'done')
  const isOpen = eb('finished_at', 'is', null)
  const isHeld = eb('lease_until', '>=', now)
  if (state === 'active') return eb.and([isOpen, isHeld])
  // A lease that has ended is none.
  const isFree = eb.or([eb('lease_until', 'is', null), eb('lease_until', '<', now)])
  return eb.and([isOpen, isFree, eb('due_at', state === 'waiting' ? '<=' : '>', now)])
}

function stateOf(row: TaskRow, now: Date): State {
  if (row.outcome !== null) return row.outcome === 'failed' ? 'failed' : 'completed'
  if (row.lease_until !== null && row.lease_until >= now) return 'active'
  return row.due_at <= now ? 'waiting' : 'delayed'
}

function jobOf(row: TaskRow, now: Date): QueueJob {
  const state = stateOf(row, now)
  const progress = row.progress as { percent?: number } | null
  return {
    opts: {},
    toJSON: () => ({
      id: String(row.id),
      name: `${row.kind} ${row.subject}`,
      data: row.payload,
      opts: {},
      progress: progress?.percent ?? 0,
      attemptsMade: row.attempts,
      timestamp: row.created_at.getTime(),
      finishedOn: row.finished_at?.getTime() ?? null,
      processedBy: row.lease_owner,
      delay: Math.max(0, row.due_at.getTime() - row.created_at.getTime()),
      priority: row.priority,
      failedReason: row.last_error ?? '',
      stacktrace: [],
      returnvalue: row.outcome,
    }),
    getState: () => Promise.resolve(state),
    promote: refuse,
    remove: refuse,
    retry: refuse,
  }
}

function refuse(): Promise<never> {
  return Promise.reject(new AppError('forbidden', 'Tasks are shown here, not changed.'))
}
