import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Database } from '../db/database.ts'
import { listHeld } from '../tasks/queue.ts'
import { workFolder } from './run-step.ts'

/**
 * Removes the work folders of attempts that have ended without doing so: their process was killed, or lost its lease.
 * The folders are listed before the leases are read, so that one of a claim that is made meanwhile is not among them.
 */
export async function removeStaleWork(db: Database, workDir: string): Promise<void> {
  const names = (await readdir(workDir).catch(() => [])).filter((name) => /^\d+-\d+$/.test(name))
  const ids = [...new Set(names.map((name) => Number.parseInt(name, 10)))]
  const held = new Set((await listHeld(db, ids)).map(workFolder))
  for (const name of names) {
    if (held.has(name)) continue
    await rm(join(workDir, name), { recursive: true, force: true, maxRetries: 3 })
  }
}
