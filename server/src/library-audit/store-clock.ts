import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../errors.ts'
import type { ObjectStore } from '../ports/object-store/object-store.ts'
import { scratchName } from '../processing/scratch.ts'
import { probeKeys } from '../storage/probe-keys.ts'

/**
 * What time it is where objects are dated: how old they are is a question for that clock. One of ours may be wrong by
 * hours, and then everything that was just stored would look as if it had been waiting for its row since yesterday.
 */
export async function timeOfStore(
  intermediates: ObjectStore,
  workDir: string,
  signal: AbortSignal,
): Promise<Date> {
  const key = probeKeys.work()
  const path = join(workDir, scratchName('clock'))
  await mkdir(workDir, { recursive: true })
  try {
    await writeFile(path, 'Videoflix was here.')
    await intermediates.putFile(key, path, signal)
    const found = await intermediates.find(key)
    if (found === null) throw new AppError('unavailable', 'What was just stored is not there.')
    return found.modifiedAt
  } finally {
    await rm(path, { force: true })
    await intermediates.delete(key)
  }
}
