import { availableParallelism } from 'node:os'
import { sendMailHandler } from '../accounts/account-mails.ts'
import { outdatedRows } from '../db/outdated-rows.ts'
import { createLibraryAudit } from '../library-audit/audit-library.ts'
import { timeOfStore } from '../library-audit/store-clock.ts'
import { orphanSweepPlanner, sweepOrphansHandler } from '../library-audit/sweep-orphans.ts'
import { processingHandlers } from '../processing/handlers.ts'
import { removeStaleWork } from '../processing/stale-work.ts'
import { capacityOf } from '../tasks/capacity.ts'
import { neglectWatch } from '../tasks/neglected.ts'
import { newOwner } from '../tasks/owner.ts'
import { needMediaTools, unlessAll, type Kinds } from '../tasks/served-kinds.ts'
import type { Handlers } from '../tasks/task.ts'
import { createWorker, type Worker } from '../tasks/worker.ts'
import { tidyVideoHandler } from '../videos/tidy-video.ts'
import { sendWebhookHandler } from '../webhooks/send-webhook.ts'
import type { Foundation } from './foundation.ts'
import type { ProcessFacts } from './process-facts.ts'
import type { Services } from './services.ts'

/** A worker with a handler for every kind of task. */
export function createSiteWorker(
  foundation: Foundation,
  services: Services,
  kinds: Kinds,
  process: ProcessFacts,
): Worker {
  const { settings, log, clock, db, doorbell, stores, monitoring } = foundation
  const machine = { cores: availableParallelism(), memoryBytes: process.memoryBytes }
  const capacity = capacityOf(machine, settings.tasks.concurrency)
  const { encodings, threads, because } = capacity
  if (kinds.has('encode_part')) {
    log.info(`encodes ${encodings} at once, on ${threads} threads each: ${because}`)
  }
  const some = unlessAll(kinds)
  // Others may have no key to the bucket.
  const storesFiles = needMediaTools(kinds)
  if (some) log.info(`takes nothing but ${some.join(', ')}`)
  const planOrphanSweep = orphanSweepPlanner({
    db,
    clock,
    isWanted: settings.tasks.sweepsOrphans,
  })
  const watchNeglect = neglectWatch({ db, clock, log })
  const forgetOutdated = outdatedRows({ db, clock, auditKeptMs: settings.auditKeptMs })
  return createWorker({
    db,
    clock,
    doorbell,
    log,
    settings: settings.tasks,
    kinds,
    encodings,
    owner: newOwner(process.pid),
    isRunning: (pid) => process.isRunning(pid),
    async alsoSweep() {
      await removeStaleWork(db, settings.tasks.workDir)
      await forgetOutdated()
      await planOrphanSweep()
      if (some) await watchNeglect()
      if (storesFiles) await stores.tidy()
    },
    handlers: monitoring.watchHandlers(handlersOf(foundation, services, threads)),
  })
}

function handlersOf(foundation: Foundation, services: Services, threads: number): Handlers {
  const { settings, log, clock, db, doorbell, stores, mailer, monitoring } = foundation
  const { originals, intermediates, media, bucket } = stores
  const { staging, library, links, recordEvent } = services
  const libraryAudit = createLibraryAudit({
    ...{ db, clock, media, originals, intermediates, staging, library, decode: null },
    multiparts: bucket?.uploads ?? null,
    uploads: settings.uploads,
  })
  return {
    ...processingHandlers({
      db,
      log,
      doorbell,
      originals,
      intermediates,
      media,
      tools: settings.ffmpeg,
      workDir: settings.tasks.workDir,
      threads,
      watchStep: monitoring.watchStep,
      stallMs: settings.processing.stallMs,
      planning: {
        rungs: settings.processing.ladder,
        chunkMinDurationMs: settings.processing.chunkMinDurationMs,
      },
      publication: {
        isEarly: settings.processing.earlyReady,
        keepsOriginals: settings.processing.keepOriginal,
        recordEvent,
      },
    }),
    tidy_video: tidyVideoHandler({ db, originals, intermediates, media, clock }),
    send_mail: sendMailHandler({ db, mailer, links, lifetimes: settings.links }),
    send_webhook: sendWebhookHandler({ db, clock, settings: settings.webhooks }),
    sweep_orphans: sweepOrphansHandler({
      log,
      audit: libraryAudit,
      timeOfStore: (signal) => timeOfStore(intermediates, settings.tasks.workDir, signal),
    }),
  }
}
