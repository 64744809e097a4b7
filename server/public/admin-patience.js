/** Trying again what may go well the next time. */
const MOST_FAILURES = 10
/** No connection, a lost reply, a server that is busy or starts again. */
const TEMPORARY = new Set([0, 408, 423, 425, 429, 500, 502, 503, 504])

export const isTemporary = ({ status }) => TEMPORARY.has(status)

/**
 * Does the work until it succeeds. Throws what is not worth another try, and the last of too many failures in a row; the
 * work calls what it is given, `moved()`, when it got further. `onWait(seconds)` hears of each pause.
 */
export async function untilDone(work, { signal, onWait, isWorth = isTemporary }) {
  let failures = 0
  const moved = () => (failures = 0)
  for (;;) {
    try {
      return await work(moved)
    } catch (error) {
      failures += 1
      if (!isWorth(error, failures) || failures > MOST_FAILURES) throw error
      const seconds = Math.min(30, 2 ** (failures - 1))
      onWait(seconds)
      await pause(seconds, signal)
    }
  }
}

/** Until the time has passed, the connection is back, or it is cancelled. */
async function pause(seconds, signal) {
  signal.throwIfAborted()
  await new Promise((resolve) => {
    setTimeout(resolve, seconds * 1000)
    addEventListener('online', resolve, { once: true, signal })
    signal.addEventListener('abort', resolve, { once: true })
  })
  signal.throwIfAborted()
}
