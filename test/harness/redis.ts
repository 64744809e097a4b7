import { once } from 'node:events'
import { connect } from 'node:net'
import { startChild } from './child.ts'
import { freePort } from './free-port.ts'
import { programPath } from './programs.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { untilReady } from './wait.ts'

export interface Redis extends AsyncDisposable {
  port: number
  url: string
  stop(): Promise<void>
}

/** Starts a private Redis server that keeps nothing on disk. */
export async function startRedis(): Promise<Redis> {
  const folder = await temporaryFolder()
  const port = await freePort()
  const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder.path]
  const server = startChild(
    programPath('redis'),
    [...args, '--save', '', '--appendonly', 'no', '--daemonize', 'no'],
    { cwd: folder.path },
  )
  const stop = async () => {
    await server.stop()
    await folder.remove()
  }
  try {
    await untilReady(server, async () => (await sendToRedis(port, 'PING')) === '+PONG')
  } catch (error) {
    await stop()
    throw error
  }
  return { port, url: `redis://127.0.0.1:${port}/0`, stop, [Symbol.asyncDispose]: stop }
}

/** Sends one inline command, such as FLUSHALL, and gives the first line of the answer. */
export async function sendToRedis(port: number, command: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  try {
    socket.write(`${command}\r\n`)
    const [answer] = (await once(socket, 'data')) as [Buffer]
    return answer.toString().split('\r\n', 1)[0] ?? ''
  } finally {
    socket.destroy()
  }
}
