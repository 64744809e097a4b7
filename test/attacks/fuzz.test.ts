import { Agent, request as httpRequest } from 'node:http'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import { startServer, type ServerProcess } from '../harness/process.ts'
import { startServices, type Services } from '../harness/services.ts'
import { residentMb } from './process-usage.ts'
import { fuzzRequests, type FuzzRequest, type OpenApi } from './requests.ts'
import { ADMIN, aPersonAt, OPEN_ENV, signIn } from './servers.ts'

/** `ATTACKS_FUZZ=20000` for the long form, half of them for each backend; `ATTACKS_SEED=…` to see a run again. */
const COUNT = Math.ceil(Number(process.env['ATTACKS_FUZZ'] ?? 3000) / BACKENDS.length)
const SEED = Number(process.env['ATTACKS_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const AT_ONCE = 6
const BATCH = 300
/** Beyond this it hangs. A login waits for those before it, and each costs a part of a second. */
const PATIENCE_MS = 10_000
/** No status of HTTP: the connection went, as it may while a body is refused. */
const CUT_OFF = 1

/** The one that is attacked now. */
let server: ServerProcess

interface Answer {
  status: number
  retryAfter: string | undefined
  body: string
}
const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE })

/** Null when nothing comes. A stream of events has begun: that is enough. */
function send(
  { method, path, headers, body }: FuzzRequest,
  cookie: string,
): Promise<Answer | null> {
  return new Promise((resolve) => {
    const all = { ...headers, cookie, ...(body && { 'content-length': String(body.length) }) }
    const request = httpRequest(
      `${server.url}/`,
      { agent, method, path, headers: all },
      (reply) => {
        const parts: Buffer[] = []
        const finish = () => {
          clearTimeout(timer)
          const { statusCode: status = 0, headers: given } = reply
          const retryAfter = given['retry-after']
          resolve({ status, retryAfter, body: Buffer.concat(parts).toString().slice(0, 300) })
        }
        reply.on('data', (part: Buffer) => parts.push(part))
        reply.on('end', finish)
        reply.on('error', finish)
        if (reply.headers['content-type']?.startsWith('text/event-stream')) {
          finish()
          request.destroy()
        }
      },
    )
    const timer = setTimeout(() => {
      request.destroy()
      resolve(null)
    }, PATIENCE_MS)
    request.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer)
      // Refused in the middle of the body: the server has answered, and the answer was lost on the way.
      resolve({ status: CUT_OFF, retryAfter: undefined, body: String(error.code) })
    })
    request.end(body ?? undefined)
  })
}

/** Somebody new: the last one may have been deleted, and this one may be while signing in. */
async function aViewer(attempts = 5): Promise<Client> {
  try {
    return await signIn(server.url, await aPersonAt(server.url))
  } catch (error) {
    if (attempts <= 1) throw error
    return await aViewer(attempts - 1)
  }
}

/** Both are signed in anew when a request has signed them out, or worse. */
async function cookies(): Promise<Record<FuzzRequest['who'], string>> {
  const written = (client: Client) => [...client.cookies].map((pair) => pair.join('=')).join('; ')
  return {
    anonymous: '',
    viewer: written(await aViewer()),
    superuser: written(await signIn(server.url, ADMIN)),
  }
}

describe.each(BACKENDS)('a server on %s', (backend) => {
  let services: Services
  beforeAll(async () => {
    services = await startServices(backend)
    server = await startServer({ env: { ...OPEN_ENV, LOG_LEVEL: 'error', ...services.env } })
    const superuser = await signIn(server.url, ADMIN)
    for (let at = 1; at <= 4; at += 1) {
      const form = new FormData()
      form.set('title', `Film ${at}`)
      form.set('video_file', new Blob(['no film, but nobody looks at it here']), 'a.mp4')
      const reply = await superuser.request('/admin/api/videos/', { method: 'POST', body: form })
      if (reply.status !== 201) throw new Error(`${reply.status}: ${await reply.text()}`)
    }
  })
  afterAll(async () => {
    await server.stop()
    await services.stop()
  })

  test(
    `${COUNT} requests to every route, and none is an internal error or hangs (seed ${SEED})`,
    { timeout: 120_000 + COUNT * 60 },
    async () => {
      process.stdout.write(
        `fuzz: ${backend} ATTACKS_SEED=${SEED} ATTACKS_FUZZ=${COUNT * BACKENDS.length}\n`,
      )
      const description = (await (await fetch(`${server.url}/openapi.json`)).json()) as OpenApi
      // Not the same as on the other.
      const seed = backend === 'sqlite' ? SEED : SEED + 1
      const requests = fc.sample(fuzzRequests(description), { numRuns: COUNT, seed })
      const broken: string[] = []
      const statuses = new Map<number, number>()
      const memory: number[] = []
      let waiting: FuzzRequest[] = []
      let signedIn = await cookies()
      let refused = 0
      let renewing: Promise<void> | null = null
      const renew = async () => {
        refused = 0
        signedIn = await cookies()
        renewing = null
      }

      const work = async () => {
        for (let next = waiting.shift(); next; next = waiting.shift()) {
          // Some requests sign themselves out: those that come after are to get in again.
          if (refused >= 3) await (renewing ??= renew())
          const answer = await send(next, signedIn[next.who])
          if (answer?.status === 401 && next.who !== 'anonymous') refused += 1
          const status = answer?.status ?? 0
          statuses.set(status, (statuses.get(status) ?? 0) + 1)
          const isOverload = status === 503 && answer?.retryAfter !== undefined
          if (answer && (status < 500 || isOverload)) continue
          const { body, ...rest } = next
          broken.push(`${JSON.stringify(rest)} ${body?.toString()} → ${status} ${answer?.body}`)
        }
      }
      for (let at = 0; at < requests.length; at += BATCH) {
        waiting = requests.slice(at, at + BATCH)
        await Promise.all(Array.from({ length: AT_ONCE }, work))
        memory.push(residentMb(server.pid))
      }
      process.stdout.write(`fuzz: ${JSON.stringify(Object.fromEntries(statuses))}\n`)
      expect(broken.slice(0, 5)).toEqual([])
      expect(statuses.get(CUT_OFF) ?? 0).toBeLessThan(COUNT / 50)
      expect(server.hasExited()).toBe(false)
      expect(server.output()).not.toContain('internal error')
      expect((await fetch(`${server.url}/health/`)).status).toBe(200)
      // The premise: they get everywhere, not only as far as the first check.
      expect(statuses.get(401) ?? 0).toBeLessThan(COUNT / 2)
      for (const status of [200, 400, 401, 403, 404, 405, 415]) {
        expect([status, statuses.get(status) ?? 0]).not.toEqual([status, 0])
      }
      const [early = 0, late = 0] = [memory[Math.floor(memory.length / 3)], memory.at(-1)]
      expect(late - early).toBeLessThan(100)
    },
  )

  test('the generator repeats itself, so that a seed is worth writing down', async () => {
    const description = (await (await fetch(`${server.url}/openapi.json`)).json()) as OpenApi
    const sample = () =>
      JSON.stringify(fc.sample(fuzzRequests(description), { numRuns: 50, seed: 7 }))
    expect(sample()).toBe(sample())
  })
})
