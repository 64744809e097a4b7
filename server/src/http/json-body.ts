import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import { errorCodes } from 'fastify'
import type { Server } from './server.ts'

/**
 * JSON is the only body there is, so that no HTML form can make one. One that is absent or empty is the empty object, as
 * clients of the original expect.
 */
export function acceptJsonOnly(server: Server, limitBytes: number): void {
  const parse = server.getDefaultJsonParser('error', 'error')
  server.removeAllContentTypeParsers()
  server.addContentTypeParser('application/json', (request, payload, done) => {
    readWhole(payload, limitBytes, (error, body) => {
      if (error) return done(error)
      if (body.length === 0 || request.routeOptions.config.ignoresBody) return done(null, {})
      // Decoding would turn every broken byte into the same character, and two passwords into one.
      if (!isUtf8(body)) return done(new SyntaxError('the body is not UTF-8'))
      void parse(request, body.toString(), done)
    })
  })
  server.addHook('preValidation', async (request) => {
    if (request.body === undefined && request.method !== 'GET') request.body = {}
  })
}

const NOTHING = Buffer.alloc(0)

/**
 * Calls back once. Fastify's own keeps every chunk until the end, and a chunk may be a byte: 64 KiB of them take
 * twenty megabytes. Here no more is kept than the body, twice at most.
 */
function readWhole(
  payload: IncomingMessage,
  limitBytes: number,
  done: (error: Error | null, body: Buffer) => void,
): void {
  let body: Buffer = NOTHING
  let length = 0
  if (Number(payload.headers['content-length'] ?? 0) > limitBytes) return refuse()
  payload.on('data', add).once('end', end).once('error', fail)

  function add(chunk: Buffer): void {
    const before = length
    length += chunk.length
    if (length > limitBytes) return refuse()
    if (before === 0) body = chunk
    else {
      if (length > body.length) body = roomier(body, before)
      chunk.copy(body, before)
    }
  }
  function roomier(full: Buffer, used: number): Buffer {
    const larger = Buffer.allocUnsafe(Math.min(limitBytes, Math.max(length, 2 * used, 1024)))
    full.copy(larger, 0, 0, used)
    return larger
  }
  function refuse(): void {
    forget()
    done(new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE(), NOTHING)
  }
  function end(): void {
    forget()
    done(null, body.subarray(0, length))
  }
  function fail(error: Error): void {
    forget()
    done(Object.assign(error, { statusCode: 400 }), NOTHING)
  }
  function forget(): void {
    payload.off('data', add).off('end', end).off('error', fail)
    // What nobody awaits any more must not end the process.
    payload.on('error', () => {})
  }
}
