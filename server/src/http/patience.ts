import type { FastifyReply, FastifyRequest } from 'fastify'
import { answerBrokenRequest } from './errors.ts'

/**
 * How long a client may take. Whoever is slower loses the connection, so that a thousand of them keep neither memory
 * nor file descriptors. An upload alone may last for hours, as long as its bytes keep coming.
 */
export const TIMEOUTS = {
  /** From the first byte of a request to the end of its headers. */
  headersTimeout: 15_000,
  /** Uploads have no end that could be told beforehand; `limitBodyTime` sees to the others. */
  requestTimeout: 0,
  keepAliveTimeout: 65_000,
  /** How often Node.js looks for those who exceed `headersTimeout`. */
  connectionsCheckingInterval: 3000,
}

/** Without a byte in either direction. Longer than any browser waits that has a paused film open. */
export const IDLE_MS = 300_000

/** Far above what people make, far below what files and memory allow: what is beyond is refused at once. */
export const MAX_CONNECTIONS = 5000

/** For a body of at most 64 KiB. */
const BODY_MS = 15_000

/** Gives up a request whose body is not whole in time, and one that goes on after it was answered. */
export function limitBodyTime(request: FastifyRequest, reply: FastifyReply): void {
  const { raw } = request
  const { 'content-length': length, 'transfer-encoding': encoding } = raw.headers
  if (encoding === undefined && (length === undefined || length === '0')) return
  const deadline = setTimeout(() => {
    if (raw.complete || isUpload(request, reply)) return
    if (reply.raw.headersSent) raw.socket.destroy()
    else answerBrokenRequest(TOO_SLOW, raw.socket)
  }, BODY_MS).unref()
  raw.once('close', () => clearTimeout(deadline))
}

const TOO_SLOW = Object.assign(new Error('the body did not come'), {
  code: 'ERR_HTTP_REQUEST_TIMEOUT',
})

/** Somebody reads it who is not in a hurry. What nobody may send has been answered by now. */
function isUpload(request: FastifyRequest, reply: FastifyReply): boolean {
  const isJson = request.headers['content-type']?.startsWith('application/json') ?? true
  return !isJson && !reply.raw.headersSent
}
