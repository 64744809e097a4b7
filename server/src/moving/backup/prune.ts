import { join } from 'node:path'
import { localStore } from '../../ports/object-store/local-store.ts'
import { readJsonLines } from '../json-lines.ts'
import type { BackupLock } from './backup-lock.ts'
import { OBJECTS_FILE, type ObjectLine } from './manifest.ts'
import { keepNewest, listSnapshots, OBJECTS, SNAPSHOTS } from './snapshot-folders.ts'

/** Removes all but the newest snapshots, and the objects that no other lists. Returns how many of each. */
export async function pruneBackup(
  { backupDir, lock }: { backupDir: string; lock: BackupLock },
  keep: number,
): Promise<{ snapshots: number; objects: number }> {
  await lock.assertHeld()
  const removed = await keepNewest(backupDir, keep)
  if (removed.length === 0) return { snapshots: 0, objects: 0 }
  const listed = new Set<string>()
  for (const name of await listSnapshots(backupDir)) {
    const lines = readJsonLines(join(backupDir, SNAPSHOTS, name, OBJECTS_FILE))
    for await (const { store, key } of lines as AsyncIterable<ObjectLine>) {
      listed.add(`${store}/${key}`)
    }
  }
  let objects = 0
  for (const name of ['media', 'originals']) {
    const store = localStore(join(backupDir, OBJECTS, name))
    for await (const { key } of store.list('')) {
      if (listed.has(`${name}/${key}`)) continue
      await lock.assertHeld()
      await store.delete(key)
      objects += 1
    }
  }
  return { snapshots: removed.length, objects }
}
