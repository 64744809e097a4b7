import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Site } from './site.ts'

/** Of a failure that may never come again. */
const FOLDER_OF_FAILURES = '.cache/faults'

/** Writes what all members have printed to the folder FAULT_LOGS; without one, only after a failure. */
export async function keepLogs(site: Site, hasFailed: boolean): Promise<void> {
  const folder = process.env['FAULT_LOGS'] ?? (hasFailed ? FOLDER_OF_FAILURES : undefined)
  if (folder === undefined) return
  await mkdir(folder, { recursive: true })
  for (const member of [...site.servers, ...site.workers]) {
    await writeFile(join(folder, `${member.name}.log`), member.output())
  }
}
