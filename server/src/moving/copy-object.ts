import { createHash } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { AppError } from '../errors.ts'
import { newId } from '../ports/ids.ts'
import type { ObjectInfo, ObjectStore } from '../ports/object-store/object-store.ts'

/** Where from and where to. `workDir` is for copies of what is not on this machine. */
export interface Route {
  from: ObjectStore
  to: ObjectStore
  workDir: string
  /** Whether what was copied is read again, and compared byte for byte (SHA-256); its size always is. */
  comparesBytes: boolean
}

/**
 * `there`: it was before, whole. `gone`: it was removed from where it came. Objects never change, so one of the same key
 * and size is the same, unless `comparesBytes` finds otherwise: then it is copied again.
 */
export type CopyOutcome = 'copied' | 'there' | 'gone'

/** May be repeated. Throws `disk_full`, `unavailable`, and `conflict` where the copy is not what was copied. */
export async function copyObject(
  { from, to, workDir, comparesBytes }: Route,
  object: Pick<ObjectInfo, 'key' | 'sizeBytes'>,
): Promise<CopyOutcome> {
  const { key } = object
  const before = await to.find(key)
  if (before?.sizeBytes === object.sizeBytes && !comparesBytes) return 'there'
  try {
    const sha256 = comparesBytes ? await sha256OfObject(from, key) : null
    if (before?.sizeBytes === object.sizeBytes && (await sha256OfObject(to, key)) === sha256) {
      return 'there'
    }
    await putFrom(from, to, key, workDir)
    const after = await to.find(key)
    const isSame =
      after?.sizeBytes === object.sizeBytes &&
      (sha256 === null || (await sha256OfObject(to, key)) === sha256)
    if (!isSame) {
      throw new AppError('conflict', `The copy of ${key} is not what was copied: check the disks.`)
    }
    return 'copied'
  } catch (error) {
    // How it fails depends on the moment at which it went.
    if ((await from.find(key)) === null) return 'gone'
    throw error
  }
}

async function putFrom(
  from: ObjectStore,
  to: ObjectStore,
  key: string,
  workDir: string,
): Promise<void> {
  // A folder of its own: files of one name may be on their way at once.
  const folder = join(workDir, newId())
  await mkdir(folder, { recursive: true })
  try {
    await to.putFile(key, await from.asLocalFile(key, folder))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Throws `not_found`. */
export async function sha256OfObject(store: ObjectStore, key: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(await store.read(key), hash)
  return hash.digest('hex')
}
