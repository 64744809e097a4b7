import { spawn } from 'node:child_process'
import type { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'

/** What a test process leaves on the machine if it dies. A process is the leader of its own group. */
export type Remains =
  | { kind: 'process'; pid: number; signal: NodeJS.Signals }
  | { kind: 'folder'; path: string }
  | { kind: 'mount'; path: string }

export interface GuardMessage {
  id: number
  /** Absent when the test process has ended or removed it by itself. */
  remains?: Remains
}

let guard: Writable | undefined
let lastId = 0

/**
 * Has this ended or removed when the test process dies, even by `kill -9`.
 *
 * @returns what to call once it is gone in the ordinary way.
 */
export function guardAgainstLeaving(remains: Remains): () => void {
  guard ??= startGuard()
  const id = ++lastId
  tell({ id, remains })
  return () => tell({ id })
}

function tell(message: GuardMessage) {
  guard?.write(JSON.stringify(message) + '\n')
}

function startGuard(): Writable {
  const file = fileURLToPath(new URL('guard-process.ts', import.meta.url))
  const child = spawn(process.execPath, [file], {
    stdio: ['pipe', 'ignore', 'inherit'],
    detached: true,
  })
  child.unref()
  if ('unref' in child.stdin && typeof child.stdin.unref === 'function') child.stdin.unref()
  return child.stdin
}
