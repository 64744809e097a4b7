import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'

/**
 * Between our server and the tus library, which speaks the Fetch standard. The library's own way to a socket would send
 * CORS headers that contradict ours.
 */

export function toWebRequest(request: IncomingMessage): Request {
  const headers = new Headers()
  for (const [name, values] of Object.entries(request.headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value)
  }
  const { method = 'GET' } = request
  const hasBody = method === 'POST' || method === 'PATCH'
  const webRequest = new Request(new URL(request.url ?? '/', 'http://localhost'), {
    method,
    headers,
    ...(hasBody && { body: Readable.toWeb(request) as ReadableStream, duplex: 'half' }),
  })
  // Where the library looks for the socket, to notice that the client has gone.
  return Object.assign(webRequest, { runtime: { node: { req: request } } })
}

/** Errors are JSON, like those of every other route. */
export async function sendWebResponse(
  reply: FastifyReply,
  response: Response,
): Promise<FastifyReply> {
  for (const [name, value] of response.headers) {
    if (!/^(access-control-|content-)/.test(name)) reply.header(name, value)
  }
  reply.code(response.status)
  const text = await response.text()
  if (response.status < 400) return reply.send(text === '' ? undefined : text)
  reply.type('application/json; charset=utf-8')
  return reply.send(text.startsWith('{') ? text : JSON.stringify({ detail: text.trim() }))
}
