/**
 * Runs work that several wait for: however many ask for the same name at once, it is done once. Who is aborted waits no
 * longer; when nobody is left, the work is told to give up, and the last one sees it end.
 */
export type SharedWork = (
  name: string,
  signal: AbortSignal | undefined,
  work: (givenUp: AbortSignal) => Promise<void>,
) => Promise<void>

interface Running {
  ends: Promise<void>
  waiting: number
  givingUp: AbortController
}

export function sharedWork(): SharedWork {
  const all = new Map<string, Running>()

  function begin(name: string, work: (givenUp: AbortSignal) => Promise<void>): Running {
    const givingUp = new AbortController()
    const ends = work(givingUp.signal).finally(() => forget(name, running))
    const running = { ends, waiting: 0, givingUp }
    all.set(name, running)
    return running
  }

  /** Whoever comes after it was given up begins anew. */
  function forget(name: string, running: Running): void {
    if (all.get(name) === running) all.delete(name)
  }

  return async (name, signal, work) => {
    signal?.throwIfAborted()
    const running = all.get(name) ?? begin(name, work)
    running.waiting += 1
    try {
      await unlessAborted(running.ends, signal)
    } catch (error) {
      if (signal?.aborted && running.waiting === 1) {
        forget(name, running)
        running.givingUp.abort(signal.reason)
        await running.ends.catch(() => {})
      }
      throw error
    } finally {
      running.waiting -= 1
    }
  }
}

async function unlessAborted(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (!signal) return await work
  let stopListening = (): void => {}
  const aborted = new Promise<never>((_resolve, reject) => {
    // The reason is whatever the signal's owner chose.
    // oxlint-disable-next-line prefer-promise-reject-errors
    const onAbort = (): void => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    stopListening = () => signal.removeEventListener('abort', onAbort)
  })
  try {
    await Promise.race([work, aborted])
  } finally {
    stopListening()
  }
}
