import type { DirectUpload, DirectUploadEnd, NewDirectUpload } from '@videoflix/contract'
import type { Settings } from '../config/settings.ts'
import type { Database } from '../db/database.ts'
import type { DirectUploadRow } from '../db/tables.ts'
import { AppError, invalid } from '../errors.ts'
import type { Clock } from '../ports/clock.ts'
import { newId } from '../ports/ids.ts'
import { LONGEST_PUT_MS, type ObjectStore } from '../ports/object-store/object-store.ts'
import type { MultipartUploads, StoredPart } from '../ports/object-store/s3-multipart.ts'
import type { Actor, Library } from '../videos/library.ts'
import type { StoredOriginal } from '../videos/video-sources.ts'
import { findBucketUpload } from './bucket-upload-rows.ts'
import {
  findDirectUpload,
  insertDirectUpload,
  prolong,
  seal,
  takeExpiredUpload,
  takeOpenUpload,
} from './direct-upload-rows.ts'
import { isFinal } from './intake.ts'
import { leaveToSweep } from './leave-to-sweep.ts'
import { beginInParts, countOfParts, joinParts, listWholeParts, partBytesFor } from './parts.ts'
import { readVideoFields, shownFileName } from './upload-fields.ts'

/**
 * Uploads that go from the browser straight to the bucket, in parts. The store keeps the parts, and says which are there;
 * the row says what they are to be together. Its id is the upload's and the original's, so completing it twice is one
 * video, also when that was deleted in between. All but `begin` throw `not_found` for what is unknown or has expired.
 */
export interface DirectUploads {
  /** Throws `too_large`. */
  begin(wanted: NewDirectUpload): Promise<DirectUpload>
  describe(id: string): Promise<DirectUpload>
  /** Throws `invalid` for a number that is no part's, and `conflict` when it is complete. */
  urlsOfParts(id: string, numbers: number[]): Promise<{ number: number; url: string }[]>
  /** The id of the video. May be repeated. Throws `conflict` while parts are missing, and what `Intake` throws. */
  complete(id: string, end: DirectUploadEnd, by: Actor): Promise<number>
  /** Also while it is being completed, which then throws `conflict`. Throws `conflict` when it is a video. */
  abort(id: string): Promise<void>
  removeAbandoned(now: Date): Promise<void>
}

const PART_URL_SECONDS = 3600

export function createDirectUploads(needs: {
  db: Database
  clock: Clock
  settings: Pick<Settings['uploads'], 'maxBytes' | 'ttlMs'>
  parts: MultipartUploads
  originals: ObjectStore
  library: Library
}): DirectUploads {
  const { db, clock, settings, parts, originals, library } = needs

  const nextExpiry = (): Date => new Date(clock.now().getTime() + settings.ttlMs)

  async function getUpload(id: string): Promise<DirectUploadRow> {
    const upload = await findDirectUpload(db, id)
    if (!upload) throw notFound()
    return upload
  }

  async function originalOf(upload: DirectUploadRow): Promise<StoredOriginal> {
    const { id, file_name: fileName, size_bytes: expectedBytes } = upload
    const sizeBytes = await joinParts(parts, originals, upload)
    if (sizeBytes > settings.maxBytes) throw tooLarge()
    if (sizeBytes !== expectedBytes) throw invalid({ size: ['The file has another size.'] })
    return {
      ...{ uploadId: id, objectKey: id, fileName, sizeBytes, sha256: null },
      async claimIn(trx) {
        if (!(await seal(trx, id, clock.now()))) throw wasEnded()
      },
    }
  }

  /** It is made a video once, so that repeating this does not bring back what somebody has deleted since. */
  async function videoOfSealed(id: string): Promise<number> {
    const video = await library.findByUpload(id)
    if (video === null) throw wasDeleted()
    return video
  }

  async function finish(upload: DirectUploadRow, end: DirectUploadEnd, by: Actor): Promise<number> {
    const { file_name: fileName } = upload
    const { title, description, category, video: replaces } = end
    if (replaces !== undefined) {
      if (!(await library.exists(replaces))) throw noSuchVideo()
      return await library.replaceSource(await originalOf(upload), replaces, by)
    }
    const fields = await readVideoFields({ title, description, category }, fileName, library)
    const original = await originalOf(upload)
    return await library.add(original, fields, by).catch(async (error: unknown) => {
      // The name that the file made was free a moment ago; there is always another.
      if (title !== undefined || !(error instanceof AppError && isFinal(error))) throw error
      const others = await readVideoFields({ description, category }, fileName, library)
      return await library.add(original, others, by)
    })
  }

  async function removeBytes(upload: DirectUploadRow): Promise<void> {
    await parts.abort(upload.id, upload.store_id)
    await originals.delete(upload.id)
  }

  return {
    async begin({ file_name, size }) {
      if (size > settings.maxBytes) throw tooLarge()
      const id = newId()
      const upload = {
        id,
        file_name: shownFileName(file_name),
        size_bytes: size,
        part_bytes: partBytesFor(size),
        sealed_at: null,
        created_at: clock.now(),
        expires_at: nextExpiry(),
      }
      await beginInParts(parts, id, (storeId) =>
        insertDirectUpload(db, { ...upload, store_id: storeId }),
      )
      return toDirectUpload(upload, [], null)
    },

    async describe(id) {
      const upload = await getUpload(id)
      const video = await library.findByUpload(id)
      const arrived = video === null ? await listWholeParts(parts, upload).catch(noneIfJoined) : []
      return toDirectUpload(upload, arrived, video)
    },

    async urlsOfParts(id, numbers) {
      const upload = await prolong(db, id, nextExpiry())
      if (!upload) throw notFound()
      if (upload.sealed_at !== null) throw isVideoByNow()
      const wrong = numbers.find((number) => number > countOfParts(upload))
      if (wrong !== undefined) {
        throw invalid({
          numbers: [`There are only ${countOfParts(upload)} parts, and no ${wrong}.`],
        })
      }
      const expires = Math.ceil(clock.now().getTime() / 1000) + PART_URL_SECONDS
      return numbers.map((number) => ({
        number,
        url: parts.urlOfPart(id, upload.store_id, number, expires),
      }))
    },

    async complete(id, end, by) {
      const known = await library.findByUpload(id)
      if (known !== null) return known
      const upload = await prolong(db, id, nextExpiry())
      if (!upload) throw notFound()
      if (upload.sealed_at !== null) return await videoOfSealed(id)
      try {
        return await finish(upload, end, by)
      } catch (error) {
        // Somebody else may have ended the same upload meanwhile, or have completed it: asked in this order, as without a
        // row nobody can complete it any more.
        const isEnded = !(await findDirectUpload(db, id))
        const winner = await library.findByUpload(id)
        if (winner !== null) return winner
        if (!isEnded) throw error
        await removeBytes(upload)
        throw wasEnded()
      }
    },

    async abort(id) {
      const upload = await takeOpenUpload(db, id)
      if (upload) return await leaveToSweep(removeBytes(upload))
      await getUpload(id)
      throw isVideoByNow()
    },

    async removeAbandoned(now) {
      for (;;) {
        const upload = await takeExpiredUpload(db, now)
        if (upload === null) break
        if ((await library.findByUpload(upload.id)) === null) await removeBytes(upload)
      }
      // The program ended between the store's beginning of an upload and our row of it. Other servers store large
      // originals in the same way, without a row.
      const before = new Date(now.getTime() - Math.max(LONGEST_PUT_MS, 2 * settings.ttlMs))
      for await (const { key, id } of parts.listBegunBefore(before)) {
        const isKnown = (await findDirectUpload(db, key)) ?? (await findBucketUpload(db, key))
        if (!isKnown) await parts.abort(key, id)
      }
    },
  }

  function tooLarge(): AppError {
    const limit = `${settings.maxBytes} bytes`
    return new AppError('too_large', `The file is larger than ${limit}: raise MAX_UPLOAD_BYTES.`)
  }
}

function toDirectUpload(
  upload: Omit<DirectUploadRow, 'store_id'>,
  arrived: StoredPart[],
  video: number | null,
): DirectUpload {
  return {
    id: upload.id,
    file_name: upload.file_name,
    size: upload.size_bytes,
    part_size: upload.part_bytes,
    part_count: countOfParts(upload),
    parts: arrived.map(({ number, sizeBytes }) => ({ number, size: sizeBytes })),
    expires_at: upload.expires_at.toISOString(),
    video,
  }
}

/** The store forgets its parts when they have become an object. */
function noneIfJoined(error: unknown): StoredPart[] {
  if (error instanceof AppError && error.code === 'not_found') return []
  throw error
}

function notFound(): AppError {
  return new AppError('not_found', 'Not found.')
}

function noSuchVideo(): AppError {
  return invalid({ video: ['There is no such video to replace.'] })
}

function wasEnded(): AppError {
  return new AppError('conflict', 'This upload was ended meanwhile: begin another.')
}

function wasDeleted(): AppError {
  return new AppError('conflict', 'The video of this upload was deleted: begin another upload.')
}

function isVideoByNow(): AppError {
  return new AppError('conflict', 'This upload is a video by now.')
}
