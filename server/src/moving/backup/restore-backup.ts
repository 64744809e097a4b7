import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { transact, type Database, type Engine } from '../../db/database.ts'
import { migrate, SCHEMA_VERSIONS } from '../../db/migrate.ts'
import { AppError } from '../../errors.ts'
import { localStore } from '../../ports/object-store/local-store.ts'
import type { ObjectInfo, ObjectStore } from '../../ports/object-store/object-store.ts'
import { forEachAtOnce, inBatches } from '../batches.ts'
import { copyObject, sha256OfObject } from '../copy-object.ts'
import { readJsonLines } from '../json-lines.ts'
import type { NamedObject } from '../named-objects.ts'
import { raiseLastIds } from '../sequences.ts'
import { dropTables, isDatabaseInUse, markUnderWay } from './empty-database.ts'
import { insertRows } from './insert-rows.ts'
import {
  objectLine,
  OBJECTS_FILE,
  readManifest,
  type Manifest,
  type ObjectLine,
} from './manifest.ts'
import { readTables } from './schema.ts'
import { settleRestored } from './settle-restored.ts'
import { OBJECTS } from './snapshot-folders.ts'
import { verifySnapshot } from './verify-snapshot.ts'

export interface RestoreNeeds {
  db: Database
  engine: Engine
  stores: Record<NamedObject['store'], ObjectStore>
  backupDir: string
  /** The folder of a snapshot. */
  snapshot: string
  /** For copies on their way. */
  workDir: string
  /** Whether what is in the database now may be lost. */
  isForced: boolean
  /** Whether everybody has to sign in anew. */
  endsSessions: boolean
  now: Date
  onObject?: (done: number, all: number) => void
}

export interface Restored {
  manifest: Manifest
  rows: number
  /** Objects that were brought back; null where the backup has none. */
  objects: number | null
  /** Objects that rows name, and that are neither in the backup nor in their store. */
  missing: number
  /** Objects of the backup that are not what it lists, and were not brought back. */
  damaged: NamedObject[]
  /** Versions of the schema that came after the backup. */
  migrated: string[]
}

/**
 * Brings database and objects back. Everything is looked at before anything is changed; objects come first, so that no
 * row names what is not there; all rows come in one transaction. May be repeated after it was cut off. Throws `invalid`
 * for a damaged backup or one of a later version, `conflict` for a database in use.
 */
export async function restoreBackup(needs: RestoreNeeds): Promise<Restored> {
  const { db, engine, snapshot, isForced } = needs
  const manifest = await readManifest(snapshot)
  assertKnown(manifest)
  await verifySnapshot(snapshot, manifest)
  if (!isForced && (await isDatabaseInUse(db))) {
    throw new AppError(
      'conflict',
      'This database has accounts or videos. With --force they are lost, and the backup takes their place.',
    )
  }
  const { objects, missing, damaged } = await restoreObjects(needs, manifest)
  await markUnderWay(db)
  await dropTables(db, engine)
  await migrate(db, engine, manifest.schema.at(-1))
  await restoreRows(needs, manifest)
  const migrated = await migrate(db, engine)
  await settleRestored(db, needs)
  const rows = manifest.tables.reduce((sum, { lines }) => sum + lines, 0)
  return { manifest, rows, objects, missing, damaged, migrated }
}

function assertKnown({ schema, madeBy }: Manifest): void {
  const unknown = schema.filter((version) => !SCHEMA_VERSIONS.includes(version))
  if (unknown.length === 0 && schema.length > 0) return
  throw new AppError(
    'invalid',
    `This backup was made by a later version of Videoflix (${madeBy}, schema ${unknown.join(', ') || 'unknown'}): update this one first.`,
  )
}

const OBJECTS_AT_ONCE = 4

async function restoreObjects(
  { stores, backupDir, snapshot, workDir, onObject }: RestoreNeeds,
  manifest: Manifest,
): Promise<Pick<Restored, 'objects' | 'missing' | 'damaged'>> {
  let [done, copied, missing] = [0, 0, 0]
  const damaged: NamedObject[] = []
  const { lines: all, areCopied } = manifest.objects
  await mkdir(workDir, { recursive: true, mode: 0o700 })
  const listed = readJsonLines(join(snapshot, OBJECTS_FILE))
  await forEachAtOnce(listed, OBJECTS_AT_ONCE, async (line) => {
    const listed = objectLine.parse(line)
    const { store, key, sizeBytes } = listed
    const from = localStore(join(backupDir, OBJECTS, store))
    const kept = areCopied && sizeBytes !== null ? await from.find(key) : null
    const isWhole = kept !== null && (await isAsListed(from, kept, listed))
    if (kept !== null && !isWhole) damaged.push({ store, key })
    if (kept === null || !isWhole) {
      const there = await stores[store].find(key)
      if (there === null || (sizeBytes !== null && there.sizeBytes !== sizeBytes)) missing += 1
    } else {
      const route = { from, to: stores[store], workDir, comparesBytes: false }
      if ((await copyObject(route, kept)) === 'copied') copied += 1
    }
    done += 1
    onObject?.(done, all)
  })
  await rm(workDir, { recursive: true, force: true })
  return { objects: areCopied ? copied : null, missing, damaged }
}

async function isAsListed(
  store: ObjectStore,
  { key, sizeBytes }: ObjectInfo,
  listed: ObjectLine,
): Promise<boolean> {
  if (sizeBytes !== listed.sizeBytes) return false
  return listed.sha256 === undefined || (await sha256OfObject(store, key)) === listed.sha256
}

const ROWS_AT_ONCE = 100

async function restoreRows(
  { db, engine, snapshot }: RestoreNeeds,
  { tables, lastIds }: Manifest,
): Promise<void> {
  const shapes = new Map((await readTables(db, engine)).map((shape) => [shape.name, shape]))
  await transact(db, async (trx) => {
    for (const { name } of tables) {
      const shape = shapes.get(name)
      if (!shape) throw new AppError('invalid', `The backup has a table ${name}, which is unknown.`)
      const file = join(snapshot, `${name}.jsonl`)
      const rows = readJsonLines(file) as AsyncIterable<Record<string, unknown>>
      for await (const batch of inBatches(rows, ROWS_AT_ONCE)) await insertRows(trx, shape, batch)
    }
    await raiseLastIds(trx, engine, lastIds)
  })
}
