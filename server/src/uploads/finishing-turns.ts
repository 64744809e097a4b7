import type { Locker } from '@tus/server'

/** An upload is finished by one at a time, however many servers there are; it may take minutes. */
export interface FinishingTurns {
  /** Waits for whoever finishes it now, and gives what `work` does, or did for another request of this server. */
  take(uploadId: string, work: () => Promise<number>): Promise<number>
  /** Null when somebody else finishes it now. */
  takeIfFree(uploadId: string, work: () => Promise<number>): Promise<number | null>
}

/** Enough to see that whoever had the turn was a process of this machine, and is dead. */
const GLANCE_MS = 2000

export function finishingTurns(locker: Locker): FinishingTurns {
  const here = new Map<string, Promise<number | null>>()

  function begin(
    uploadId: string,
    work: () => Promise<number>,
    patience: AbortSignal,
  ): Promise<number | null> {
    const turn = lockAndWork(uploadId, work, patience).finally(() => here.delete(uploadId))
    here.set(uploadId, turn)
    return turn
  }

  async function lockAndWork(
    uploadId: string,
    work: () => Promise<number>,
    patience: AbortSignal,
  ): Promise<number | null> {
    // Not the lock of its writer: a client that asks for the offset meanwhile is told at once.
    const lock = locker.newLock(`${uploadId}/finishing`)
    try {
      await lock.lock(patience, () => {})
    } catch (error) {
      if (isLocked(error)) return null
      throw error
    }
    try {
      return await work()
    } finally {
      // What cannot be let go runs out.
      await lock.unlock().catch(() => {})
    }
  }

  return {
    async take(uploadId, work) {
      for (;;) {
        const turn = here.get(uploadId) ?? begin(uploadId, work, new AbortController().signal)
        const videoId = await turn
        if (videoId !== null) return videoId
      }
    },

    async takeIfFree(uploadId, work) {
      if (here.has(uploadId)) return null
      return await begin(uploadId, work, AbortSignal.timeout(GLANCE_MS))
    },
  }
}

function isLocked(error: unknown): boolean {
  return (error as { status_code?: number }).status_code === 423
}
