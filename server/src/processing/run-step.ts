import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import type { Transacting } from '../db/database.ts'
import { isDatabaseAway } from '../db/outage.ts'
import type { SourceRow, StepRow } from '../db/tables.ts'
import { AppError } from '../errors.ts'
import { MediaFailure } from '../media/failure.ts'
import type { MediaJob, SourceJob } from '../media/media-job.ts'
import type { PlanOptions } from '../media/plan.ts'
import { diskFull } from '../media/run-failures.ts'
import type { MediaTools } from '../media/tools.ts'
import type { Doorbell } from '../ports/doorbell/doorbell.ts'
import type { ObjectStore } from '../ports/object-store/object-store.ts'
import { isStoreAway, waitForStore } from '../tasks/store-away.ts'
import {
  LeaseLost,
  TaskFailure,
  type Lease,
  type RunningTask,
  type TaskHandler,
} from '../tasks/task.ts'
import { intermediatePrefix, mediaPrefix } from '../videos/object-keys.ts'
import { touch } from '../videos/touch.ts'
import { lockSource } from './follow-up.ts'
import { fail, type PublicationNeeds } from './publication.ts'
import { beginStep, ensureProbeStep, finishStep, tellCommand, tellFailure } from './step-rows.ts'
import type { STEP_TASKS } from './step.ts'

export interface ProcessingNeeds {
  log: Logger
  doorbell: Doorbell
  originals: ObjectStore
  /** What steps leave for each other. */
  intermediates: ObjectStore
  media: ObjectStore
  tools: MediaTools
  workDir: string
  threads: number
  /** Longest time without progress of a program. */
  stallMs: number
  /** Shorter sides of the ladder, and from when on films are encoded in chunks. */
  planning: Pick<PlanOptions, 'chunkMinDurationMs'> & { rungs: readonly number[] }
  publication: PublicationNeeds
}

/** A step in the hands of its work. */
export interface StepRun {
  source: SourceRow
  step: StepRow
  job: MediaJob
  /** The job, once the original is at hand: it may have to be fetched. */
  withSource: () => Promise<SourceJob>
  /** Where objects go that will be published. No other attempt has the same, so a late one can overwrite nothing. */
  mediaPrefix: string
  intermediatePrefix: string
}

export interface StepOutcome {
  /** Kept with the step, for those that follow. */
  result: unknown
  /** The last that its commands wrote. */
  output?: string
  /** What becomes true with the end of the step, in the same transaction. */
  effect(trx: Transacting, now: Date): Promise<void>
}

type StepTask = (typeof STEP_TASKS)[number]

/** The folder of an attempt, below the folder of work. */
export function workFolder({ id, leaseToken }: Lease): string {
  return `${id}-${leaseToken}`
}

/**
 * The handler of tasks that do one step: gives its work a folder of its own, tells the step's row what happens, and
 * finishes step and task in one transaction with the effect. What a failed attempt stored is removed.
 */
export function stepHandler<K extends StepTask>(
  needs: ProcessingNeeds,
  work: (run: StepRun) => Promise<StepOutcome>,
): TaskHandler<K> {
  const { doorbell, log } = needs

  async function run(task: RunningTask<K>): Promise<void> {
    const begun = await begin(task)
    if (begun === null) return await task.commit(() => Promise.resolve())
    doorbell.ring('catalogue')
    const workDir = join(needs.workDir, workFolder(task))
    const { id: sourceId, video_id: videoId } = begun.source
    const attempt = { videoId, sourceId, stepId: begun.step.id, leaseToken: task.leaseToken }
    const stored = {
      mediaPrefix: mediaPrefix(attempt),
      intermediatePrefix: intermediatePrefix(attempt),
    }
    let isUncommitted = true
    try {
      const job = await jobOf(task, begun.step, workDir)
      const withSource = async (): Promise<SourceJob> => {
        const { object_key: key } = begun.source
        return { ...job, sourcePath: await needs.originals.asLocalFile(key, workDir, task.signal) }
      }
      const outcome = await work({ ...begun, job, withSource, ...stored })
      isUncommitted = false
      await task.commit(async (trx, now) => {
        // Before what refers to it: two steps that end at once would wait for each other.
        await lockSource(trx, sourceId)
        const { result, output = '' } = outcome
        await finishStep(trx, begun.step.id, { result, output: lastLines(output), now })
        await outcome.effect(trx, now)
      })
    } catch (error) {
      // A database that goes away during the commit may have committed: then the files wait for tidying.
      if (isUncommitted || error instanceof LeaseLost) {
        await removeStored(stored)
      }
      throw await told(task, begun.step, error)
    } finally {
      await rm(workDir, { recursive: true, force: true, maxRetries: 3 })
    }
    doorbell.ring('catalogue')
  }

  /** What cannot be removed now waits for tidying as well. */
  async function removeStored(
    stored: Pick<StepRun, 'mediaPrefix' | 'intermediatePrefix'>,
  ): Promise<void> {
    try {
      await removeAll(needs.media, stored.mediaPrefix)
      await removeAll(needs.intermediates, stored.intermediatePrefix)
    } catch (error) {
      log.warn({ err: error }, 'could not remove what a failed step had stored')
    }
  }

  /** Fenced like the end: a run that has lost its lease must not say that it works. */
  async function begin(task: RunningTask<K>): Promise<{ source: SourceRow; step: StepRow } | null> {
    return await task.write(async (trx, now) => {
      const source = await trx
        .updateTable('sources')
        .set({ state: 'processing', updated_at: now })
        .where('id', '=', task.payload.sourceId)
        .returningAll()
        .executeTakeFirst()
      if (!source) return null
      const stepId =
        'stepId' in task.payload
          ? task.payload.stepId
          : await ensureProbeStep(trx, source.id, task.id)
      const step = await beginStep(trx, stepId, now)
      if (step === null) return null
      await touch(trx, source.video_id, now)
      return { source, step }
    })
  }

  async function jobOf(task: RunningTask<K>, step: StepRow, workDir: string): Promise<MediaJob> {
    const filesDir = join(workDir, 'files')
    await mkdir(filesDir, { recursive: true })
    return {
      tools: needs.tools,
      workDir: filesDir,
      signal: task.signal,
      threads: needs.threads,
      stallMs: needs.stallMs,
      onProgress: ({ share, speed, etaSeconds }) =>
        task.report({ step: step.name, percent: Math.round(1000 * share) / 10, speed, etaSeconds }),
      onCommand: (command) => {
        task
          .write((trx) => tellCommand(trx, step.id, command))
          .catch((error: unknown) => log.debug({ err: error }, 'could not tell a command'))
      },
    }
  }

  /** Tells the row of the step why the attempt failed, unless somebody else has the task. */
  async function told(task: RunningTask<K>, step: StepRow, error: unknown): Promise<unknown> {
    const failure = asTaskFailure(task.signal.aborted ? task.signal.reason : error)
    if (failure === null) return error
    const detail = error instanceof MediaFailure ? (error.detail ?? '') : ''
    log.info({ reason: failure.code, step: step.name, detail }, 'step failed')
    await task
      .write((trx) => tellFailure(trx, step.id, failure, lastLines(detail)))
      .catch((cause: unknown) => log.warn({ err: cause }, 'could not tell why a step failed'))
    return isStoreAway(error) ? waitForStore(error) : failure
  }

  return {
    run,
    async giveUp(trx, payload, failure, now) {
      await fail(needs.publication, trx, payload, failure, now)
    },
    afterGiveUp: () => doorbell.ring('catalogue'),
  }
}

function asTaskFailure(error: unknown): TaskFailure | null {
  // It cannot be told now, and says nothing about the film.
  if (isDatabaseAway(error)) return null
  if (error instanceof TaskFailure) return error
  if (error instanceof MediaFailure) {
    const { reason, sentence, permanent } = error
    const isLocal = reason === 'disk_full'
    return new TaskFailure(reason, sentence, { permanent, isLocal, cause: error })
  }
  if (error instanceof AppError && error.code === 'disk_full') {
    const options = { permanent: false, isLocal: true, cause: error }
    return new TaskFailure('disk_full', error.message, options)
  }
  if (hasNoRoom(error)) return asTaskFailure(diskFull(error.message))
  if (isStoreAway(error)) {
    return new TaskFailure('unavailable', error.message, { permanent: false, cause: error })
  }
  return null
}

/** Even an empty folder may need some. */
function hasNoRoom(error: unknown): error is Error {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOSPC' || code === 'EDQUOT'
}

async function removeAll(store: ObjectStore, prefix: string): Promise<void> {
  for await (const { key } of store.list(`${prefix}/`)) await store.delete(key)
}

const KEPT_CHARS = 4000

function lastLines(output: string): string {
  const clean = output.replaceAll('\0', '').trim()
  if (clean.length <= KEPT_CHARS) return clean
  const kept = clean.slice(-KEPT_CHARS)
  return kept.slice(kept.indexOf('\n') + 1)
}
