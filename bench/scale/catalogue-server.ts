import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { Agent, request, type IncomingMessage } from 'node:http'
import { fileURLToPath } from 'node:url'
import type { DatabaseSettings } from '../../server/src/config/settings.ts'
import { Client } from '../../test/harness/client.ts'
import { freePort } from '../../test/harness/free-port.ts'
import type { LoopDelay } from './loop-delay.ts'

/** The real server with a large catalogue, asked and watched from outside. */

const CLI = fileURLToPath(new URL('../../server/src/main/cli.ts', import.meta.url))
const LOOP_DELAY = new URL('loop-delay.ts', import.meta.url).href
const ADMIN = { email: 'bench@example.com', password: 'bench-password-1' }
const agent = new Agent({ keepAlive: true, maxSockets: 10 })

export function hangUp(): void {
  agent.destroy()
}

export interface Measured {
  url: string
  child: ChildProcess
  cookie: string
}

export async function startServer(
  dataDir: string,
  postgres: DatabaseSettings | null,
): Promise<Measured> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const child = fork(CLI, ['serve'], {
    execArgv: ['--import', LOOP_DELAY],
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      HOST: '127.0.0.1',
      PORT: `${port}`,
      DATA_DIR: dataDir,
      DJANGO_SUPERUSER_EMAIL: ADMIN.email,
      DJANGO_SUPERUSER_PASSWORD: ADMIN.password,
      LOG_LEVEL: 'warn',
      RATE_LIMIT_LOGIN: '1000/min',
      // No worker of its own: it is measured elsewhere.
      TRANSCODE_LOCALLY: 'False',
      ...(postgres?.kind === 'postgres' && { DATABASE_URL: postgres.url }),
    },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  while (!(await fetch(`${url}/health/`).catch(() => null))?.ok) {
    if (child.exitCode !== null) throw new Error('the server has ended: what it says is above')
    await pause(100)
  }
  return { url, child, cookie: '' }
}

/** For five minutes. */
export async function signIn(server: Measured): Promise<void> {
  const client = new Client(server.url)
  const { status } = await client.post('/users/login/', ADMIN)
  if (status !== 200) throw new Error(`login: ${status}`)
  server.cookie = [...client.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
}

/** proc(5): fields 14 and 15 of `stat`, in ticks of 10 ms. */
export async function cpuSeconds({ child }: Measured): Promise<number> {
  const text = await readFile(`/proc/${child.pid}/stat`, 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

export async function send(server: Measured, path: string, more = {}): Promise<IncomingMessage> {
  const headers = { cookie: server.cookie, 'accept-encoding': 'gzip', ...more }
  const sent = request(`${server.url}${path}`, { agent, headers }).end()
  const [reply] = (await once(sent, 'response')) as [IncomingMessage]
  return reply
}

export async function ask(server: Measured, path: string, more = {}) {
  const reply = await send(server, path, more)
  for await (const _ of reply);
  const { statusCode: status = 0 } = reply
  if (status >= 400) throw new Error(`${path}: ${status}`)
  return { status, link: String(reply.headers['link'] ?? '') }
}

export async function loopDelay({ child }: Measured): Promise<LoopDelay> {
  const told = once(child, 'message')
  child.send('tell')
  const [delay] = (await told) as [LoopDelay]
  return delay
}

export async function residentMb({ child }: Measured): Promise<number> {
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
