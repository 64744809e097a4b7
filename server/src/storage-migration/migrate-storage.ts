import { mkdir, rm } from 'node:fs/promises'
import { AppError } from '../errors.ts'
import { forEachAtOnce } from '../moving/batches.ts'
import { copyObject, type Route } from '../moving/copy-object.ts'
import type { NamedObject } from '../moving/named-objects.ts'
import { isKey, type ObjectStore } from '../ports/object-store/object-store.ts'

/** The stores of an installation. */
export interface Stores {
  originals: ObjectStore
  intermediates: ObjectStore
  media: ObjectStore
}
type StoreName = keyof Stores

const STORE_NAMES = ['originals', 'intermediates', 'media'] as const satisfies StoreName[]

export interface MigrationNeeds {
  from: Stores
  to: Stores
  /** For copies of what is not on this machine. */
  workDir: string
  /** Whether bytes are compared besides sizes. */
  comparesBytes: boolean
  /** Whether a row names it. */
  isNamed: (object: NamedObject) => Promise<boolean>
  /**
   * The target is in use: once all that is named is there and equal, removes everything from where it came. What was
   * deleted at the target since does not come back.
   */
  deletesSource: boolean
  onObject?: (counts: MigrationCounts) => void
}

export interface MigrationCounts {
  copied: number
  copiedBytes: number
  /** Were at the target already. */
  there: number
  /** Of another's making, by its name; left where it is. */
  foreign: number
  deleted: number
  /** Neither at the target nor named by a row, so deleted or replaced since; left where it is. */
  unnamed: number
}

const OBJECTS_AT_ONCE = 4
const PASSES = 5

/**
 * Copies every object from one set of stores to another while the server uses the first, until there is nothing left to
 * copy. Nothing is removed before everything was looked at. May be repeated, and be cut off anywhere: what is there is
 * not copied again. Throws `disk_full`, `unavailable` or `conflict`.
 */
export async function migrateStorage(needs: MigrationNeeds): Promise<MigrationCounts> {
  const counts = { copied: 0, copiedBytes: 0, there: 0, foreign: 0, deleted: 0, unnamed: 0 }
  await mkdir(needs.workDir, { recursive: true, mode: 0o700 })
  try {
    for (const name of STORE_NAMES) await needs.to[name].check()
    for (let pass = 1; pass <= PASSES; pass += 1) {
      const before = counts.copied
      Object.assign(counts, { there: 0, foreign: 0 })
      // Bytes are compared once: what a later pass finds by size was compared by the first.
      const comparesBytes = needs.comparesBytes && pass === 1
      for (const name of STORE_NAMES) await copyStore({ ...needs, comparesBytes }, name, counts)
      if (counts.copied === before) break
    }
    if (needs.deletesSource) {
      for (const name of STORE_NAMES) await emptySource(needs, name, counts)
    }
    return counts
  } finally {
    await rm(needs.workDir, { recursive: true, force: true })
  }
}

async function copyStore(
  needs: MigrationNeeds,
  name: StoreName,
  counts: MigrationCounts,
): Promise<void> {
  const { from, to, workDir, comparesBytes, onObject } = needs
  const route: Route = { from: from[name], to: to[name], workDir, comparesBytes }
  await forEachAtOnce(from[name].list(''), OBJECTS_AT_ONCE, async (object) => {
    // A folder of media may have held other things before it was ours.
    if (!isKey(object.key)) {
      counts.foreign += 1
      return
    }
    const isLeft = needs.deletesSource && (await to[name].find(object.key)) === null
    if (isLeft && !(await isWanted(needs, name, object.key))) return
    const outcome = await copyObject(route, object)
    if (outcome === 'copied') {
      counts.copied += 1
      counts.copiedBytes += object.sizeBytes
    } else if (outcome === 'there') counts.there += 1
    onObject?.(counts)
  })
}

/** Of what the target, which is in use, has not: what is made anew when it is missing need not come. */
async function isWanted(
  { isNamed }: MigrationNeeds,
  store: StoreName,
  key: string,
): Promise<boolean> {
  return store !== 'intermediates' && (await isNamed({ store, key }))
}

/** Looks once more at each before it goes: nothing is removed that is not at the target. */
async function emptySource(
  needs: MigrationNeeds,
  name: StoreName,
  counts: MigrationCounts,
): Promise<void> {
  const { from, to, onObject } = needs
  await forEachAtOnce(from[name].list(''), OBJECTS_AT_ONCE, async ({ key, sizeBytes }) => {
    if (!isKey(key)) return
    const there = await to[name].find(key)
    if (there === null && name !== 'intermediates' && !(await isWanted(needs, name, key))) {
      counts.unnamed += 1
      return
    }
    if (there?.sizeBytes !== sizeBytes && name !== 'intermediates') {
      throw new AppError(
        'conflict',
        `${key} came while others were moved: run the command again, and nothing is lost.`,
      )
    }
    await from[name].delete(key)
    counts.deleted += 1
    onObject?.(counts)
  })
}
