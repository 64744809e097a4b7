import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Database, Engine } from '../../db/database.ts'
import { localStore, removeUnfinished } from '../../ports/object-store/local-store.ts'
import type { ObjectStore } from '../../ports/object-store/object-store.ts'
import { VERSION } from '../../version.ts'
import { forEachAtOnce } from '../batches.ts'
import { copyObject, sha256OfObject } from '../copy-object.ts'
import { readJsonLines, writeJsonLines, type LinesWriter } from '../json-lines.ts'
import { listNamedObjects, type NamedObject } from '../named-objects.ts'
import { readLastIds } from '../sequences.ts'
import { whileLocked, type BackupLock } from './backup-lock.ts'
import { atOneMoment, readRows } from './database-snapshot.ts'
import { MANIFEST_FILE, OBJECTS_FILE, type Manifest, type ObjectLine } from './manifest.ts'
import { pruneBackup } from './prune.ts'
import { readSchemaVersions, readAllTables } from './schema.ts'
import { OBJECTS, writeSnapshotFolder } from './snapshot-folders.ts'

export interface BackupNeeds {
  db: Database
  engine: Engine
  stores: Record<NamedObject['store'], ObjectStore>
  backupDir: string
  /** Whether the objects are copied too, or only listed. */
  copiesObjects: boolean
  /** Whether the list has the SHA-256 of each, which reads all of them. */
  hashesObjects: boolean
  /** How many of the newest snapshots stay; null: all. */
  keep: number | null
  now: Date
  onObject?: (done: number, all: number) => void
}

export interface Backup {
  folder: string
  manifest: Manifest
  /** Objects that were not in the backup before. */
  copied: number
  /** How many of each were removed. */
  pruned: { snapshots: number; objects: number }
}

const ATTEMPTS = 3
const OBJECTS_AT_ONCE = 4
const NAMED_FILE = 'named.jsonl'

/** One more snapshot of a running installation; then those that are too many go. Throws `conflict` while another is made. */
export async function createBackup(needs: BackupNeeds): Promise<Backup> {
  const { backupDir, keep } = needs
  return await whileLocked(backupDir, async (lock) => {
    await removeUnfinished(join(backupDir, OBJECTS))
    const snapshot = await addSnapshot(needs, lock)
    const pruned =
      keep === null ? { snapshots: 0, objects: 0 } : await pruneBackup({ backupDir, lock }, keep)
    return { ...snapshot, pruned }
  })
}

/**
 * An object may be removed between the moment of the database and its copy, as when a video is replaced: then the
 * database is looked at again, so that in the end all fits together.
 */
async function addSnapshot(needs: BackupNeeds, lock: BackupLock): Promise<Omit<Backup, 'pruned'>> {
  const { backupDir, now } = needs
  let copied = 0
  let written: Manifest | null = null
  const folder = await writeSnapshotFolder({ backupDir, lock, now }, async (unfinished) => {
    for (let attempt = 1; ; attempt += 1) {
      const part = join(unfinished, 'part')
      await mkdir(part, { mode: 0o700 })
      const database = await dumpDatabase(needs, part)
      const objects = await keepObjects(needs, part, database.named)
      copied += objects.copied
      if (objects.missing === 0 || attempt === ATTEMPTS) {
        written = await finish(needs, unfinished, part, database, objects)
        return
      }
      await rm(part, { recursive: true })
    }
  })
  if (written === null) throw new Error('a snapshot without a manifest')
  return { folder, manifest: written, copied }
}

interface DatabaseDump extends Pick<Manifest, 'schema' | 'tables' | 'lastIds'> {
  /** How many objects its rows name. */
  named: number
}

async function dumpDatabase({ db, engine }: BackupNeeds, folder: string): Promise<DatabaseDump> {
  const workDir = join(folder, 'work')
  await mkdir(workDir, { mode: 0o700 })
  const dump = await atOneMoment(db, engine, workDir, async (snapshot) => {
    const shapes = await readAllTables(snapshot, engine)
    const tables: Manifest['tables'] = []
    for (const { name } of shapes) {
      await using file = await writeJsonLines(join(folder, `${name}.jsonl`))
      for await (const row of readRows(snapshot, engine, name)) await file.write(row)
      tables.push({ name, ...(await file.end()) })
    }
    await using named = await writeJsonLines(join(folder, NAMED_FILE))
    for await (const object of listNamedObjects(snapshot)) await named.write(object)
    return {
      tables,
      named: (await named.end()).lines,
      schema: await readSchemaVersions(snapshot),
      lastIds: await readLastIds(
        snapshot,
        engine,
        shapes.map(({ name }) => name),
      ),
    }
  })
  await rm(workDir, { recursive: true })
  return dump
}

interface KeptObjects {
  list: Manifest['objects']
  copied: number
  missing: number
}

async function keepObjects(needs: BackupNeeds, folder: string, all: number): Promise<KeptObjects> {
  let [done, copied, missing, totalBytes] = [0, 0, 0, 0]
  await using lines = await writeJsonLines(join(folder, OBJECTS_FILE))
  const workDir = join(folder, 'work')
  await mkdir(workDir, { mode: 0o700 })
  const named = readJsonLines(join(folder, NAMED_FILE)) as AsyncIterable<NamedObject>
  await forEachAtOnce(named, OBJECTS_AT_ONCE, async (object) => {
    const outcome = await keepObject(needs, object, workDir, lines)
    if (outcome.isCopied) copied += 1
    if (outcome.sizeBytes === null) missing += 1
    totalBytes += outcome.sizeBytes ?? 0
    done += 1
    needs.onObject?.(done, all)
  })
  await rm(workDir, { recursive: true })
  await rm(join(folder, NAMED_FILE))
  const list = { ...(await lines.end()), totalBytes, missing, areCopied: needs.copiesObjects }
  return { list, copied, missing }
}

async function keepObject(
  { stores, backupDir, copiesObjects, hashesObjects }: BackupNeeds,
  { store, key }: NamedObject,
  workDir: string,
  lines: LinesWriter,
): Promise<{ sizeBytes: number | null; isCopied: boolean }> {
  const from = stores[store]
  const found = await from.find(key)
  const kept = localStore(join(backupDir, OBJECTS, store))
  const outcome =
    found !== null && copiesObjects
      ? await copyObject({ from, to: kept, workDir, comparesBytes: false }, found)
      : null
  const sizeBytes = outcome === 'gone' ? null : (found?.sizeBytes ?? null)
  const line: ObjectLine = { store, key, sizeBytes }
  if (hashesObjects && sizeBytes !== null) {
    line.sha256 = await sha256OfObject(copiesObjects ? kept : from, key)
  }
  await lines.write(line)
  return { sizeBytes, isCopied: outcome === 'copied' }
}

async function finish(
  { engine, now }: BackupNeeds,
  target: string,
  part: string,
  database: DatabaseDump,
  { list }: KeptObjects,
): Promise<Manifest> {
  const { named: _, ...dump } = database
  const manifest: Manifest = {
    format: 'videoflix-backup',
    version: 1,
    createdAt: now.toISOString(),
    madeBy: VERSION,
    engine,
    ...dump,
    objects: list,
  }
  const files = [...manifest.tables.map(({ name }) => `${name}.jsonl`), OBJECTS_FILE]
  for (const file of files) await rename(join(part, file), join(target, file))
  await rm(part, { recursive: true })
  await writeFile(join(target, MANIFEST_FILE), `${JSON.stringify(manifest, null, 2)}\n`, {
    mode: 0o600,
    flush: true,
  })
  return manifest
}
