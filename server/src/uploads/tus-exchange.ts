import type { IncomingMessage } from 'node:http'
import type { FastifyReply } from 'fastify'

/**
 * Between our server and the tus library, which speaks the Fetch standard. The library's own way to a socket would send
 * CORS headers that contradict ours.
 */

/**
 * `readRest` is to be called when there is an answer: what nobody has read of the body then flows away, as most clients
 * read the answer only when they have sent what they wanted to.
 */
export function toWebRequest(request: IncomingMessage): {
  webRequest: Request
  readRest: () => void
} {
  const headers = new Headers()
  for (const [name, values] of Object.entries(request.headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value)
  }
  const { method = 'GET' } = request
  const chunks = request.iterator({ destroyOnReturn: false })
  const hasBody = method === 'POST' || method === 'PATCH'
  const webRequest = new Request(new URL(request.url ?? '/', 'http://localhost'), {
    method,
    headers,
    ...(hasBody && { body: bodyOf(chunks), duplex: 'half' }),
  })
  const flow = (): unknown => request.resume()
  return {
    // Where the library looks for the socket, to notice that the client has gone.
    webRequest: Object.assign(webRequest, { runtime: { node: { req: request } } }),
    readRest: () => void chunks.return?.().then(flow, flow),
  }
}

/** Unlike `Readable.toWeb`, this does not hang up on the client when nobody wants to read on. */
function bodyOf(chunks: AsyncIterator<Buffer>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = (await chunks.next()) as IteratorResult<Buffer, undefined>
      if (done) controller.close()
      else controller.enqueue(value)
    },
  })
}

/** Errors are JSON, like those of every other route. */
export async function sendWebResponse(
  reply: FastifyReply,
  response: Response,
): Promise<FastifyReply> {
  for (const [name, value] of response.headers) {
    // Nor does it hang up on a client that is still sending: that one would see a broken connection, and no answer.
    if (!/^(access-control-|content-|connection$)/.test(name)) reply.header(name, value)
  }
  reply.code(response.status)
  if (response.status === 503) reply.header('retry-after', '5')
  const text = await response.text()
  if (response.status < 400) return reply.send(text === '' ? undefined : text)
  reply.type('application/json; charset=utf-8')
  return reply.send(text.startsWith('{') ? text : JSON.stringify({ detail: text.trim() }))
}
