import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Database } from '../db/database.ts'
import { listHeld } from '../tasks/queue.ts'
import { workFolder } from './run-step.ts'
import { isScratch } from './scratch.ts'

/**
 * Removes the work folders of attempts that have ended without doing so: their process was killed, or lost its lease.
 * The folders are listed before the leases are read, so that one of a claim that is made meanwhile is not among them.
 */
export async function removeStaleWork(db: Database, workDir: string): Promise<void> {
  const entries = await readdir(workDir).catch(() => [])
  const names = entries.filter((name) => /^\d+-\d+$/.test(name))
  const ids = [...new Set(names.map((name) => Number.parseInt(name, 10)))]
  const held = new Set((await listHeld(db, ids)).map(workFolder))
  for (const name of names) {
    if (!held.has(name)) await remove(join(workDir, name))
  }
  for (const name of entries.filter(isScratch)) {
    const path = join(workDir, name)
    if ((await lastChange(path)) < Date.now() - SCRATCH_KEPT_MS) await remove(path)
  }
}

/** Longer than a command goes without writing to what it has there. */
const SCRATCH_KEPT_MS = 24 * 3_600_000

/** Of all that is there, the newest; now, for what goes meanwhile. In ms. */
async function lastChange(path: string): Promise<number> {
  try {
    const below = await readdir(path, { recursive: true }).catch(() => [])
    const all = await Promise.all(['', ...below].map((each) => stat(join(path, each))))
    return Math.max(...all.map(({ mtimeMs }) => mtimeMs))
  } catch {
    return Date.now()
  }
}

async function remove(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 3 })
}
