import { once } from 'node:events'
import { createServer, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface RefusingProxy extends AsyncDisposable {
  endpoint: string
  /** Method and target of each, in order. */
  requests: string[]
}

/** Stands between a client and a server: refuses requests whose target matches, and cuts long answers off. */
export async function refusingProxy(
  endpoint: string,
  refuses: RegExp,
  { cutAfterBytes = Infinity } = {},
): Promise<RefusingProxy> {
  const requests: string[] = []
  const { hostname, port } = new URL(endpoint)
  const proxy = createServer((request, reply) => {
    const { method = '', url: path = '', headers } = request
    requests.push(`${method} ${path}`)
    if (refuses.test(path)) {
      request.resume().on('end', () => reply.writeHead(400).end())
      return
    }
    // The host stays what the client has signed.
    const passed = send({ hostname, port, method, path, headers }, (answer) => {
      reply.writeHead(answer.statusCode ?? 502, answer.headers)
      let passedBytes = 0
      answer.on('data', (chunk: Buffer) => {
        passedBytes += chunk.length
        reply.write(chunk)
        if (passedBytes > cutAfterBytes) {
          answer.destroy()
          setTimeout(() => reply.destroy(), 50)
        }
      })
      answer.on('end', () => reply.end())
      answer.on('error', () => {})
    })
    passed.on('error', () => reply.destroy())
    request.pipe(passed)
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  return {
    endpoint: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      proxy.close()
      proxy.closeAllConnections()
      await once(proxy, 'close')
    },
  }
}
