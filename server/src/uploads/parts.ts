import { AppError } from '../errors.ts'
import type { ObjectStore } from '../ports/object-store/object-store.ts'
import type { MultipartUploads, StoredPart } from '../ports/object-store/s3-multipart.ts'
import { leaveToSweep } from './leave-to-sweep.ts'

/** An original that arrives in parts of one size; the last one is what remains. */
export interface UploadInParts {
  /** Of the upload, and the key of the original. */
  id: string
  /** The store's name for it. */
  store_id: string
  size_bytes: number
  part_bytes: number
}

const MIB = 1024 * 1024
const PART_BYTES = 16 * MIB
/** S3 takes 10,000. */
const MOST_PARTS = 9000

export function partBytesFor(sizeBytes: number): number {
  return Math.max(PART_BYTES, Math.ceil(sizeBytes / MOST_PARTS / MIB) * MIB)
}

export function countOfParts({ size_bytes, part_bytes }: Sizes): number {
  return Math.ceil(size_bytes / part_bytes)
}

type Sizes = Pick<UploadInParts, 'size_bytes' | 'part_bytes'>

/** Beyond the last part there is nothing, which no part has as its size. */
function sizeOfPart({ size_bytes, part_bytes }: Sizes, number: number): number {
  return Math.min(part_bytes, size_bytes - (number - 1) * part_bytes)
}

/**
 * Begins an upload in the store, then `note`s it under the store's name for it. Where that fails its sender was told
 * nothing, and the store is to forget it, also if a row may be there after all: that one expires.
 */
export async function beginInParts(
  parts: Pick<MultipartUploads, 'begin' | 'abort'>,
  id: string,
  note: (storeId: string) => Promise<void>,
): Promise<void> {
  const storeId = await parts.begin(id)
  try {
    await note(storeId)
  } catch (error) {
    await leaveToSweep(parts.abort(id, storeId))
    throw error
  }
}

/** Those that are there and whole. */
export async function listWholeParts(
  parts: MultipartUploads,
  upload: UploadInParts,
): Promise<StoredPart[]> {
  const arrived = await parts.listParts(upload.id, upload.store_id)
  return arrived.filter(({ number, sizeBytes }) => sizeBytes === sizeOfPart(upload, number))
}

/**
 * Makes an original of the parts, unless an earlier attempt did, and gives its size in bytes. Throws `conflict` while
 * parts are missing, and `not_found` when there is neither.
 */
export async function joinParts(
  parts: MultipartUploads,
  originals: ObjectStore,
  upload: UploadInParts,
): Promise<number> {
  try {
    const arrived = await listWholeParts(parts, upload)
    assertAllThere(upload, arrived)
    await parts.complete(upload.id, upload.store_id, arrived)
  } catch (error) {
    // The store forgets its parts when they have become an object.
    if (!(error instanceof AppError && error.code === 'not_found')) throw error
  }
  const original = await originals.find(upload.id)
  if (original === null) throw new AppError('not_found', 'Not found.')
  return original.sizeBytes
}

const SHOWN_NUMBERS = 10

function assertAllThere(upload: UploadInParts, arrived: StoredPart[]): void {
  const there = new Set(arrived.map(({ number }) => number))
  const all = Array.from({ length: countOfParts(upload) }, (_, index) => index + 1)
  const missing = all.filter((number) => !there.has(number))
  if (missing.length === 0) return
  const shown = missing.slice(0, SHOWN_NUMBERS).join(', ')
  const rest = missing.length > SHOWN_NUMBERS ? ` and ${missing.length - SHOWN_NUMBERS} more` : ''
  throw new AppError('conflict', `Parts have not arrived whole yet: ${shown}${rest}. Send them.`)
}
