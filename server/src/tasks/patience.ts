/** What works stops within seconds when it is told to. What waits for somebody who never answers does not. */
const PATIENCE_MS = 10_000

/** The work's end, or a failure if there is none for a while after `told` is aborted. */
export async function untilAbandoned<T>(work: Promise<T>, told: AbortSignal): Promise<T> {
  // Of its own: a signal warns of many listeners.
  const signal = AbortSignal.any([told])
  let timer: NodeJS.Timeout | undefined
  let onTold = (): void => {}
  const abandoned = new Promise<never>((_resolve, reject) => {
    const give = (): void => reject(new Error('it did not stop when it was told to'))
    onTold = () => (timer = setTimeout(give, PATIENCE_MS))
    if (signal.aborted) onTold()
    else signal.addEventListener('abort', onTold, { once: true })
  })
  try {
    return await Promise.race([work, abandoned])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onTold)
  }
}
