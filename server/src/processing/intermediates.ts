import { join } from 'node:path'
import type { Locate } from '../media/rung-input.ts'
import type { ObjectStore } from '../ports/object-store/object-store.ts'
import type { PartResult } from './step.ts'

/** What one step leaves for another: objects in a store that is never served, below the video's id. */

/** Stores files under a prefix that no other attempt has. */
export async function keepFiles(
  store: ObjectStore,
  prefix: string,
  workDir: string,
  files: string[],
  signal: AbortSignal,
): Promise<PartResult> {
  const keys: Record<string, string> = {}
  for (const file of files) {
    signal.throwIfAborted()
    const key = `${prefix}/${file}`
    await store.putFile(key, join(workDir, file), signal)
    keys[file] = key
  }
  return { files: keys }
}

/** Brings the files of parts here, and tells where they are. */
export async function fetchFiles(
  store: ObjectStore,
  { workDir, signal }: { workDir: string; signal: AbortSignal },
  /** By name of the part. */
  parts: Map<string, PartResult>,
  isWanted: (file: string) => boolean,
): Promise<Locate> {
  const paths = new Map<string, string>()
  for (const [part, { files }] of parts) {
    for (const [file, key] of Object.entries(files)) {
      if (isWanted(file))
        paths.set(`${part}\n${file}`, await store.asLocalFile(key, workDir, signal))
    }
  }
  return (part, file) => paths.get(`${part}\n${file}`) ?? null
}
