import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import type { Transacting } from '../db/database.ts'
import { asJson, type SourceRow } from '../db/tables.ts'
import { AppError } from '../errors.ts'
import { MediaFailure } from '../media/failure.ts'
import type { MediaTools } from '../media/tools.ts'
import { transcode, type ProcessedMedia } from '../media/transcode.ts'
import type { Doorbell } from '../ports/doorbell/doorbell.ts'
import type { ObjectStore } from '../ports/object-store/object-store.ts'
import {
  LeaseLost,
  TaskFailure,
  type Lease,
  type RunningTask,
  type TaskHandler,
} from '../tasks/task.ts'
import { enqueueTidy, touch } from './library.ts'

interface Needs {
  log: Logger
  doorbell: Doorbell
  originals: ObjectStore
  media: ObjectStore
  tools: MediaTools
  workDir: string
}

/** Where an attempt puts its objects. No other attempt has the same, so a late one can overwrite nothing. */
export function prefixOf(
  source: { videoId: number; id: number },
  task: { id: number; leaseToken: number },
): string {
  return `videos/${source.videoId}/${source.id}-${task.id}-${task.leaseToken}`
}

/** The folder of an attempt, below the folder of work. */
export function workFolder({ id, leaseToken }: Lease): string {
  return `${id}-${leaseToken}`
}

/**
 * Makes a source playable: transcodes it in a folder of its own, stores the files under the attempt's own prefix, then
 * publishes them in one transaction. Whatever happens before that transaction, nobody has seen any of it.
 */
export function processSourceHandler(needs: Needs): TaskHandler<'process_source'> {
  const { doorbell } = needs
  return {
    async run(task) {
      const source = await begin(task)
      if (!source) return await task.commit(() => Promise.resolve())
      doorbell.ring('catalogue')
      try {
        await processSource(needs, source, task)
      } catch (error) {
        throw asTaskFailure(error, needs.log)
      }
      doorbell.ring('catalogue')
    },

    async giveUp(trx, { sourceId }, failure, now) {
      const source = await trx
        .updateTable('sources')
        .set({
          state: 'error',
          error_code: failure.code,
          error_message: failure.message,
          updated_at: now,
        })
        .where('id', '=', sourceId)
        .returning('video_id')
        .executeTakeFirst()
      if (!source) return
      await touch(trx, source.video_id, now)
      await enqueueTidy(trx, source.video_id, [], now)
      doorbell.ring('catalogue')
    },
  }
}

/** Fenced like the end: a run that has lost its lease must not say that it works. */
async function begin(task: RunningTask<'process_source'>): Promise<SourceRow | null> {
  return await task.write(async (trx, now) => {
    const source = await trx
      .updateTable('sources')
      .set({ state: 'processing', updated_at: now })
      .where('id', '=', task.payload.sourceId)
      .returningAll()
      .executeTakeFirst()
    if (!source) return null
    await touch(trx, source.video_id, now)
    return source
  })
}

async function processSource(
  needs: Needs,
  source: SourceRow,
  task: RunningTask<'process_source'>,
): Promise<void> {
  const workDir = join(needs.workDir, workFolder(task))
  const prefix = prefixOf({ videoId: source.video_id, id: source.id }, task)
  let isUnpublished = true
  try {
    const filesDir = join(workDir, 'files')
    await mkdir(filesDir, { recursive: true })
    const sourcePath = await needs.originals.asLocalFile(source.object_key, workDir)
    const processed = await transcode({
      tools: needs.tools,
      sourcePath,
      workDir: filesDir,
      signal: task.signal,
      onProgress: (progress) => task.report(progress),
    })
    await storeFiles(needs.media, prefix, processed, task.signal)
    isUnpublished = false
    await task.commit((trx, now) => publish(trx, source, prefix, processed, now))
  } catch (error) {
    // A database that goes away during the commit may have published: then the files wait for the next tidying.
    if (isUnpublished || error instanceof LeaseLost) await removeAll(needs.media, prefix)
    throw error
  } finally {
    await rm(workDir, { recursive: true, force: true, maxRetries: 3 })
  }
}

async function storeFiles(
  media: ObjectStore,
  prefix: string,
  processed: ProcessedMedia,
  signal: AbortSignal,
): Promise<void> {
  for (const { rung, path } of processed.renditions) {
    signal.throwIfAborted()
    await media.putFile(`${prefix}/${rung}.mp4`, path)
  }
  await media.putFile(`${prefix}/poster.jpg`, processed.posterPath)
  signal.throwIfAborted()
}

async function publish(
  trx: Transacting,
  source: SourceRow,
  prefix: string,
  processed: ProcessedMedia,
  now: Date,
): Promise<void> {
  await trx.deleteFrom('renditions').where('source_id', '=', source.id).execute()
  await trx
    .insertInto('renditions')
    .values(
      processed.renditions.map((rendition) => ({
        source_id: source.id,
        quality: rendition.rung,
        object_key: `${prefix}/${rendition.rung}.mp4`,
        width: rendition.width,
        height: rendition.height,
        size_bytes: rendition.sizeBytes,
        bitrate_bps: rendition.bitrateBps,
        codecs: [rendition.videoCodec, ...(rendition.hasAudio ? ['mp4a.40.2'] : [])].join(','),
      })),
    )
    .execute()
  await trx
    .updateTable('sources')
    .set({
      state: 'ready',
      error_code: null,
      error_message: null,
      media_info: asJson(processed.info),
      poster_key: `${prefix}/poster.jpg`,
      updated_at: now,
    })
    .where('id', '=', source.id)
    .execute()
  await trx
    .updateTable('videos')
    .set({ published_source_id: source.id, updated_at: now })
    .where('id', '=', source.video_id)
    .execute()
  const replaced = await trx
    .deleteFrom('sources')
    .where('video_id', '=', source.video_id)
    .where('id', '<', source.id)
    .returning('object_key')
    .execute()
  await enqueueTidy(
    trx,
    source.video_id,
    replaced.map((each) => each.object_key),
    now,
  )
}

async function removeAll(store: ObjectStore, prefix: string): Promise<void> {
  for await (const { key } of store.list(`${prefix}/`)) await store.delete(key)
}

function asTaskFailure(error: unknown, log: Logger): unknown {
  if (error instanceof MediaFailure) {
    log.info({ reason: error.reason, detail: error.detail }, 'source not processed')
    return new TaskFailure(error.reason, error.sentence, {
      permanent: error.permanent,
      cause: error,
    })
  }
  if (error instanceof AppError && error.code === 'disk_full') {
    return new TaskFailure('disk_full', error.message, { permanent: false, cause: error })
  }
  return error
}
