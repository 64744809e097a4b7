import { once } from 'node:events'
import { Agent, request, type ClientRequest, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS } from '../harness/app.ts'
import { startServer, type ServerProcess } from '../harness/process.ts'
import { startServices, type Services } from '../harness/services.ts'

interface Answer {
  status: number
  isLast: boolean
}

/** One request, with its whole body; rejects when it was not answered. */
async function get(url: string, agent: Agent): Promise<Answer> {
  const asked: ClientRequest = request(url, { agent }).end()
  const [reply] = (await once(asked, 'response')) as [IncomingMessage]
  reply.resume()
  await once(reply, 'end')
  return { status: reply.statusCode ?? 0, isLast: reply.headers.connection === 'close' }
}

/** As a balancer has them: sends requests for as long as `/health/ready` says so, and then some. */
async function balance(server: ServerProcess, agent: Agent, answers: Answer[]): Promise<void> {
  let isReady = true
  const look = async (): Promise<void> => {
    while (isReady) {
      isReady = (await get(`${server.url}/health/ready`, new Agent())).status === 200
      await sleep(100)
    }
  }
  const send = async (): Promise<void> => {
    while (isReady) answers.push(await get(`${server.url}/health/`, agent))
  }
  await Promise.all([look(), send()])
}

describe.each(BACKENDS)('a server on %s', (backend) => {
  let services: Services
  beforeAll(async () => {
    services = await startServices(backend)
  })
  afterAll(() => services.stop())

  test('through SIGTERM every request is answered that a balancer sends', async () => {
    await using server = await startServer({ env: { DRAIN_DELAY: '2', ...services.env } })
    const kept: Answer[] = []
    const fresh: Answer[] = []
    const keepAlive = new Agent({ keepAlive: true, maxSockets: 1 })
    const flowing = Promise.all([
      balance(server, keepAlive, kept),
      balance(server, new Agent({ keepAlive: false }), fresh),
    ])
    await expect.poll(() => Math.min(kept.length, fresh.length)).toBeGreaterThan(20)
    const keptBefore = kept.length
    expect(kept.some(({ isLast }) => isLast)).toBe(false)
    server.kill('SIGTERM')
    await flowing
    expect(await server.exited).toEqual({ code: 0, signal: null })

    const statuses = new Set([...kept, ...fresh].map(({ status }) => status))
    expect(statuses).toEqual(new Set([kept[0]?.status]))
    // Those who keep a connection are sent to another.
    expect(kept.length).toBeGreaterThan(keptBefore)
    expect(kept.slice(keptBefore).some(({ isLast }) => isLast)).toBe(true)
    keepAlive.destroy()
  })
})

// Again if this machine was so busy that the connection was idle for too long.
test(
  'what is asked on an open connection after SIGTERM is answered, although nobody new is let in',
  { retry: 2 },
  async () => {
    await using server = await startServer()
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const before = await get(`${server.url}/health/live`, agent)
    expect(before).toEqual({ status: 200, isLast: false })
    server.kill('SIGTERM')
    await expect.poll(() => refuses(server.port), { interval: 5 }).toBe(true)
    expect(await get(`${server.url}/health/live`, agent)).toEqual({ status: 200, isLast: true })
    expect(await server.exited).toEqual({ code: 0, signal: null })
    agent.destroy()
  },
)

async function refuses(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED'
  } finally {
    socket.destroy()
  }
}
