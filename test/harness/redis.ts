import { once } from 'node:events'
import { connect } from 'node:net'
import { startChild, type Child } from './child.ts'
import { freePort } from './free-port.ts'
import { programPath } from './programs.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { untilReady } from './wait.ts'

export interface Redis extends AsyncDisposable {
  port: number
  url: string
  /** Ends or freezes it, without asking. */
  kill(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void
  /** At the same port, and empty. Once the one before has ended. */
  restart(): Promise<void>
  stop(): Promise<void>
}

/** Starts a private Redis server that keeps nothing on disk. */
export async function startRedis(): Promise<Redis> {
  const folder = await temporaryFolder()
  const port = await freePort()
  const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder.path]
  const start = (): Child =>
    startChild(
      programPath('redis'),
      [...args, '--save', '', '--appendonly', 'no', '--daemonize', 'no'],
      { cwd: folder.path },
    )
  const untilThere = () =>
    untilReady(server, async () => (await sendToRedis(port, 'PING')) === '+PONG')
  let server = start()
  const stop = async () => {
    server.kill('SIGCONT')
    await server.stop()
    await folder.remove()
  }
  try {
    await untilThere()
  } catch (error) {
    await stop()
    throw error
  }
  return {
    port,
    url: `redis://127.0.0.1:${port}/0`,
    kill: (signal) => server.kill(signal),
    async restart() {
      await server.exited
      server = start()
      await untilThere()
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
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
