import { z } from 'zod'
import type { Transacting } from '../db/database.ts'

const step = z.object({ sourceId: z.int(), stepId: z.int() })

/** Everything that may have to happen later, and what it needs to know. Payloads hold ids, never secrets. */
export const PAYLOADS = {
  process_source: z.object({ sourceId: z.int() }),
  copy_streams: step,
  extract_subtitles: step,
  encode_part: step,
  package_rungs: step,
  tidy_video: z.object({ videoId: z.int(), originalKeys: z.array(z.string()) }),
  send_mail: z.object({
    template: z.enum(['confirm', 'reset', 'password_changed', 'change_email', 'email_changed']),
    userId: z.int(),
    /** Where to, if not to the user's address of then. */
    email: z.string().optional(),
  }),
  send_webhook: z.object({ deliveryId: z.string() }),
  /** There is one of them at any time: each writes the next. */
  sweep_orphans: z.object({}),
}

export type TaskKind = keyof typeof PAYLOADS
export type Payload<K extends TaskKind> = z.infer<(typeof PAYLOADS)[K]>

/**
 * Kinds that wait for each other: a film that is encoded for hours must hold up neither the look at the next one nor a
 * mail, nor must a dead receiver of webhooks.
 */
export const LANES = {
  media: ['encode_part'],
  files: ['process_source', 'copy_streams', 'extract_subtitles', 'package_rungs'],
  quick: ['tidy_video', 'send_mail', 'sweep_orphans'],
  webhooks: ['send_webhook'],
} as const satisfies Record<string, TaskKind[]>
export type Lane = keyof typeof LANES

const LANE_OF = Object.fromEntries(
  Object.entries(LANES).flatMap(([lane, kinds]) => kinds.map((kind) => [kind, lane])),
) as Record<TaskKind, Lane>

export function laneOf(kind: TaskKind): Lane {
  return LANE_OF[kind]
}

/** How far a task is, as it is stored and shown. */
export const progress = z.object({
  step: z.string(),
  percent: z.number(),
  speed: z.number().nullable(),
  etaSeconds: z.number().nullable(),
})
export type Progress = z.infer<typeof progress>

/** Which claim of which task. */
export interface Lease {
  /** Of the task; never given twice. */
  id: number
  /** Fencing token: no other claim of this task has it. */
  leaseToken: number
}

/** What a transaction writes; it may be done again from its start. `now` is one for all of it. */
export type Effect<T> = (trx: Transacting, now: Date) => Promise<T>

/** A claimed task in the hands of its handler. */
export interface RunningTask<K extends TaskKind> extends Lease {
  payload: Payload<K>
  /** 1 on the first try. */
  attempt: number
  /** Aborted when the lease is lost, the time is up or the worker drains. Stop soon; throwing is fine. */
  signal: AbortSignal
  /** Stored at most once a second. Never throws. */
  report(progress: Progress): void
  /** Writes in one transaction what must be true before the end. Throws `LeaseLost`, with nothing written. */
  write<T>(effect: Effect<T>): Promise<T>
  /**
   * Finishes the task together with its effect, in one transaction. Throws `LeaseLost`, with nothing written, when
   * somebody else owns the task by now or it was cancelled. After any other error it may have happened or not.
   */
  commit(effect: Effect<void>): Promise<void>
}

export interface TaskHandler<K extends TaskKind> {
  /** How often to try, where JOB_ATTEMPTS is not the right answer. */
  attempts?: number
  /** How long to wait after so many failures (1 after the first), where the usual seconds and minutes are not right. */
  retryAfterMs?(failures: number): number
  /** Must end by `task.commit`, or throw. `TaskFailure` says how it failed, `NotYet` that it did not; any other error is tried again. */
  run(task: RunningTask<K>): Promise<void>
  /** The effect of failing for good, in the transaction that gives the task up. */
  giveUp(trx: Transacting, payload: Payload<K>, failure: TaskFailure, now: Date): Promise<void>
  /** Told when that is committed. */
  afterGiveUp?(): void
}

export type Handlers = { [K in TaskKind]: TaskHandler<K> }

/** A run that failed in a way that has a name and a sentence. */
export class TaskFailure extends Error {
  readonly code: string
  /** Trying again cannot help. */
  readonly permanent: boolean
  /** Trying again sooner cannot help. */
  readonly leastWaitMs: number
  /** It is for want of room on this machine's disk: another may have more. */
  readonly isLocal: boolean

  constructor(
    code: string,
    message: string,
    options: { permanent: boolean; leastWaitMs?: number; isLocal?: boolean; cause?: unknown },
  ) {
    super(message, { cause: options.cause })
    this.name = 'TaskFailure'
    this.code = code
    this.permanent = options.permanent
    this.leastWaitMs = options.leastWaitMs ?? 0
    this.isLocal = options.isLocal ?? false
  }
}

/** Nothing was done, and nothing failed: the task is given back as if it had not been claimed, to be due later. */
export class NotYet extends Error {
  readonly waitMs: number

  constructor(waitMs: number) {
    super('this task has to wait')
    this.name = 'NotYet'
    this.waitMs = waitMs
  }
}

/** The task belongs to somebody else by now, or is gone. Leave quietly. */
export class LeaseLost extends Error {
  constructor() {
    super('the lease of this task is lost')
    this.name = 'LeaseLost'
  }
}
