import { connect, createServer, type AddressInfo } from 'node:net'

/** A way to a service on this machine that counts what goes through. */
export interface CountingProxy extends AsyncDisposable {
  endpoint: string
  fromBytes(): number
  toBytes(): number
}

export async function startCountingProxy(target: string): Promise<CountingProxy> {
  const { hostname, port } = new URL(target)
  let [from, to] = [0, 0]
  const server = createServer((socket) => {
    const onward = connect(Number(port), hostname)
    socket.on('data', (chunk) => void (to += chunk.length)).on('error', () => onward.destroy())
    onward.on('data', (chunk) => void (from += chunk.length)).on('error', () => socket.destroy())
    socket.pipe(onward).pipe(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fromBytes: () => from,
    toBytes: () => to,
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
