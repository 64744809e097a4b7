import { setTimeout as sleep } from 'node:timers/promises'
import type { Server } from './server.ts'

/** A request may be on its way on a connection that is idle as far as we know. */
const LINGER_MS = 1000

/**
 * Closes a server so that no request is lost: for `delayMs` it goes on as if nothing were, but for telling each client to
 * open another connection for its next request; then it takes no new connections, and ends those it has as they fall
 * idle. What still runs after `patienceMs` is cut off.
 */
export async function drain(
  server: Server,
  { delayMs, patienceMs }: { delayMs: number; patienceMs: number },
): Promise<void> {
  const { server: http } = server
  http.prependListener('request', (_request, response) => response.setHeader('connection', 'close'))
  await sleep(delayMs)
  const hurry = setTimeout(() => http.closeAllConnections(), patienceMs)
  // Node.js would end idle connections together with the listening socket.
  const endIdle = http.closeIdleConnections.bind(http)
  http.closeIdleConnections = () => {}
  const closed = server.close()
  const linger = setTimeout(endIdle, LINGER_MS)
  await closed
  clearTimeout(linger)
  clearTimeout(hurry)
}
