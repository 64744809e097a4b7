/** What came of a request. */
export type Outcome =
  | { status: number; retryAfter: string | null }
  /** Nobody answered; the reason completes “The receiver …”. */
  | { status: null; reason: string }

const ANSWER_READ_BYTES = 64 * 1024

/**
 * Sends a request and forgets the answer but for its status. Redirects are answers like any other: what is signed is for
 * this URL alone. Throws only when `signal` is aborted before an answer.
 */
export async function post(
  request: { url: string; headers: Record<string, string>; body: string },
  limits: { timeoutMs: number; signal: AbortSignal },
): Promise<Outcome> {
  const { url, headers, body } = request
  const timeout = AbortSignal.timeout(limits.timeoutMs)
  const signal = AbortSignal.any([limits.signal, timeout])
  try {
    const answer = await fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal })
    await drop(answer.body)
    return { status: answer.status, retryAfter: answer.headers.get('retry-after') }
  } catch (error) {
    limits.signal.throwIfAborted()
    const reason = timeout.aborted
      ? `did not answer within ${limits.timeoutMs / 1000} seconds`
      : `could not be reached (${codeOf(error)})`
    return { status: null, reason }
  }
}

/** A short answer is read to its end, which keeps the connection. One that does not end has said all that matters. */
async function drop(body: AsyncIterable<Uint8Array> | null): Promise<void> {
  let read = 0
  try {
    for await (const chunk of body ?? []) {
      read += chunk.length
      if (read > ANSWER_READ_BYTES) return
    }
  } catch {
    // The status stands.
  }
}

function codeOf(error: unknown): string {
  const { cause } = error as { cause?: { code?: string; message?: string } }
  return cause?.code ?? cause?.message ?? 'no connection'
}
