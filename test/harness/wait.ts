import { setTimeout as sleep } from 'node:timers/promises'
import type { Child } from './child.ts'

const POLL_MS = 25

/**
 * Waits until another process is ready, as only asking can tell.
 *
 * @param isReady May reject: that counts as "not yet".
 */
export async function untilReady(
  child: Child,
  isReady: () => Promise<boolean>,
  timeoutMs = 30_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs
  let reason: unknown
  while (!(await isReady().catch((error: unknown) => ((reason = error), false)))) {
    if (child.hasExited()) {
      const { code, signal } = await child.exited
      throw new Error(`It ended (${signal ?? code}) before it was ready:\n${child.output()}`)
    }
    if (Date.now() > deadline)
      throw new Error(`It is not ready after ${timeoutMs} ms:\n${child.output()}`, {
        cause: reason,
      })
    await sleep(POLL_MS)
  }
}

/** Waits for what nobody announces. */
export async function until(isSo: () => boolean, timeoutMs = 30_000): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!isSo()) {
    if (Date.now() > deadline) throw new Error(`It is not so after ${timeoutMs} ms`)
    await sleep(POLL_MS)
  }
}
