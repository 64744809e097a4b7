import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

/** One request as a receiver of webhooks got it. */
export interface Received {
  path: string
  id: string
  /** `webhook-timestamp`, in seconds. */
  timestamp: number
  headers: Record<string, string>
  body: string
}

type Answer = (response: ServerResponse, request: Received) => void | Promise<void>

/** A receiver of webhooks on loopback that answers as a test says. */
export interface Receiver extends AsyncDisposable {
  /** Without a slash at its end. */
  origin: string
  received: Received[]
  /** 204 until it is set. */
  answer: Answer
  stop(): Promise<void>
}

export const status =
  (code: number, headers: Record<string, string> = {}): Answer =>
  (response) =>
    void response.writeHead(code, headers).end()

export async function startReceiver(): Promise<Receiver> {
  const server = createServer((request, response) => {
    response.on('error', () => {})
    void take(request).then((taken) => {
      receiver.received.push(taken)
      return receiver.answer(response, taken)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const stop = async (): Promise<void> => {
    if (!server.listening) return
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  }
  const receiver: Receiver = {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received: [],
    answer: status(204),
    stop,
    [Symbol.asyncDispose]: stop,
  }
  return receiver
}

async function take(request: IncomingMessage): Promise<Received> {
  const headers = request.headers as Record<string, string>
  return {
    path: `${request.method} ${request.url}`,
    id: headers['webhook-id'] ?? '',
    timestamp: Number(headers['webhook-timestamp']),
    headers,
    body: await text(request),
  }
}
