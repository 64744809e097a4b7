import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { DataStore, ERRORS, Upload } from '@tus/server'
import type { Database } from '../db/database.ts'
import { asJson, type BucketUploadRow } from '../db/tables.ts'
import { AppError } from '../errors.ts'
import type { Clock } from '../ports/clock.ts'
import { newId } from '../ports/ids.ts'
import type { ObjectStore } from '../ports/object-store/object-store.ts'
import type { MultipartUploads } from '../ports/object-store/s3-multipart.ts'
import { tailKey, tailsOfUpload } from '../videos/object-keys.ts'
import { advance, findBucketUpload, takeUnfinishedUpload } from './bucket-upload-rows.ts'
import { takenOver } from './intake.ts'
import { leaveToSweep } from './leave-to-sweep.ts'
import { PartBuffer } from './part-buffer.ts'
import { beginInParts, partBytesFor } from './parts.ts'

export interface BucketNeeds {
  db: Database
  clock: Clock
  parts: MultipartUploads
  /** For the bytes beyond the last whole part. */
  intermediates: ObjectStore
  /** For the same bytes, on their way. */
  dir: string
  ttlMs: number
}

/**
 * Resumable uploads that grow in the bucket, so that any server can go on with them. What the row says is safe: a part or
 * the tail is stored first, then the row tells of it, and no tail is written over. At most one part is held in memory.
 */
export class BucketDataStore extends DataStore {
  readonly #needs: BucketNeeds
  /** Uploads that have ended. */
  readonly #tailsLeft = new Set<string>()

  constructor(needs: BucketNeeds) {
    super()
    this.#needs = needs
    this.extensions = ['creation', 'creation-with-upload', 'termination', 'expiration']
  }

  override async create(upload: Upload): Promise<Upload> {
    const { db, clock, parts } = this.#needs
    const { id, size = 0, metadata = {} } = upload
    const row = {
      id,
      metadata: asJson(metadata),
      size_bytes: size,
      part_bytes: partBytesFor(size),
      offset_bytes: 0,
      tail_key: null,
      created_at: clock.now(),
      expires_at: this.#nextExpiry(),
    }
    await beginInParts(parts, id, async (storeId) => {
      await db
        .insertInto('bucket_uploads')
        .values({ ...row, store_id: storeId })
        .execute()
    })
    upload.creation_date = row.created_at.toISOString()
    return upload
  }

  override async getUpload(id: string): Promise<Upload> {
    const row = await this.#get(id)
    return new Upload({
      id,
      size: row.size_bytes,
      offset: row.offset_bytes,
      metadata: row.metadata,
      // From which the library reckons the end, which what is whole has not: it becomes a video.
      ...(row.offset_bytes < row.size_bytes && {
        creation_date: new Date(row.expires_at.getTime() - this.getExpiration()).toISOString(),
      }),
    })
  }

  override async write(readable: Readable, id: string, offset: number): Promise<number> {
    let upload = await this.#get(id)
    if (upload.offset_bytes !== offset) throw takenOver()
    const buffer = new PartBuffer(Math.min(upload.part_bytes, upload.size_bytes))
    if (upload.tail_key !== null) {
      await buffer.addAll(await this.#needs.intermediates.read(upload.tail_key))
    }
    try {
      for await (const chunk of readable) {
        let rest = chunk as Buffer
        while (rest.length > 0) {
          rest = buffer.add(rest)
          if (buffer.isFull) upload = await this.#keep(upload, buffer)
        }
      }
    } finally {
      // What came before a cut counts as well: the next question for the offset tells it.
      upload = await this.#keep(upload, buffer)
    }
    return upload.offset_bytes
  }

  override async remove(id: string): Promise<void> {
    const upload = await takeUnfinishedUpload(this.#needs.db, id)
    if (!upload) {
      await this.#get(id)
      throw new AppError('conflict', 'All of this upload has arrived: it is being made a video.')
    }
    await leaveToSweep(this.discard(upload))
  }

  /** Removes the bytes of an upload without a row. */
  async discard({ id, store_id: storeId }: BucketUploadRow): Promise<void> {
    try {
      await this.removeTails(id)
    } finally {
      await this.#needs.parts.abort(id, storeId)
    }
  }

  /** Also those that a killed server left. What cannot be removed now waits for `removeTailsLeft`. */
  async removeTails(id: string): Promise<void> {
    const { intermediates } = this.#needs
    this.#tailsLeft.add(id)
    for await (const { key } of intermediates.list(tailsOfUpload(id)))
      await intermediates.delete(key)
    this.#tailsLeft.delete(id)
  }

  async removeTailsLeft(): Promise<void> {
    for (const id of this.#tailsLeft) await this.removeTails(id)
  }

  override getExpiration(): number {
    return this.#needs.ttlMs
  }

  /** As a part, if it is one, or as the tail. Empties the buffer in the first case. */
  async #keep(upload: BucketUploadRow, buffer: PartBuffer): Promise<BucketUploadRow> {
    const { size_bytes: size, part_bytes: partBytes, offset_bytes: offset } = upload
    const start = Math.floor(offset / partBytes) * partBytes
    const end = start + buffer.length
    if (buffer.length === 0 || end === offset) return upload
    const isPart = buffer.isFull || end === size
    const tail = isPart ? null : tailKey(upload.id, newId())
    if (tail === null) {
      const number = start / partBytes + 1
      await this.#needs.parts.put(upload.id, upload.store_id, number, buffer.bytes)
    } else await this.#putTail(tail, buffer.bytes)
    const after = { offset_bytes: end, tail_key: tail, expires_at: this.#nextExpiry() }
    await this.#advance(upload, after)
    if (isPart) buffer.clear()
    return { ...upload, ...after }
  }

  async #putTail(key: string, bytes: Buffer): Promise<void> {
    const path = join(this.#needs.dir, newId())
    try {
      await writeFile(path, bytes)
      await this.#needs.intermediates.putFile(key, path)
    } finally {
      await rm(path, { force: true })
    }
  }

  async #advance(
    upload: BucketUploadRow,
    after: Pick<BucketUploadRow, 'offset_bytes' | 'tail_key' | 'expires_at'>,
  ): Promise<void> {
    const { db, intermediates } = this.#needs
    const isOurs = await advance(db, upload, after)
    const dropped = isOurs ? upload.tail_key : after.tail_key
    if (dropped !== null) await leaveToSweep(intermediates.delete(dropped))
    if (!isOurs) throw takenOver()
  }

  async #get(id: string): Promise<BucketUploadRow> {
    const row = await findBucketUpload(this.#needs.db, id)
    if (!row) throw ERRORS.FILE_NOT_FOUND as unknown as Error
    return row
  }

  #nextExpiry(): Date {
    return new Date(this.#needs.clock.now().getTime() + this.getExpiration())
  }
}
