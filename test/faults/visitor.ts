import { setTimeout as pause } from 'node:timers/promises'
import type { AdminVideo } from '@videoflix/contract'
import { Client } from '../harness/client.ts'
import { SUPERUSER, type ServerMember } from './site.ts'

/** The server went away before it answered: what was asked for may have happened or not. */
export class Unanswered extends Error {}

const PATIENCE_MS = 40_000

/**
 * Somebody at a site where anything may be gone at any moment: tries again where a client should, at another server if
 * need be, and notes every answer that no fault excuses.
 */
export class Visitor {
  /** Sentences about answers that should not have been; shared by all visitors of a site. */
  readonly complaints: string[]
  readonly #servers: ServerMember[]
  readonly #random: () => number
  #cookies = new Map<string, string>()

  constructor(servers: ServerMember[], random: () => number, complaints: string[] = []) {
    this.#servers = servers
    this.#random = random
    this.complaints = complaints
  }

  anyServer(): ServerMember {
    return this.#servers[Math.floor(this.#random() * this.#servers.length)]!
  }

  /** One attempt. 503 counts as an answer. Throws `Unanswered`. */
  async once(path: string, init: RequestInit = {}, server = this.anyServer()): Promise<Response> {
    const client = new Client(server.url)
    for (const [name, value] of this.#cookies) client.cookies.set(name, value)
    let reply: Response
    const signal = AbortSignal.timeout(PATIENCE_MS)
    try {
      reply = await whole(await client.request(path, { ...init, signal }))
    } catch (error) {
      // It is frozen or killed; but no living server lets anybody wait for so long.
      if (signal.aborted) this.#complain(`${server.name} did not answer`, init, path)
      throw new Unanswered(`${server.name}: ${String(error)}`, { cause: error })
    }
    this.#cookies = client.cookies
    const isBusy = reply.status === 503 || reply.status === 507
    if (reply.status >= 500 && !isBusy) {
      this.#complain(`${reply.status} from ${server.name}`, init, path, await reply.clone().text())
    }
    if (reply.status === 503 && !Number(reply.headers.get('retry-after'))) {
      this.#complain(`503 without Retry-After from ${server.name}`, init, path)
    }
    return reply
  }

  /** Until there is an answer other than 503: for what may be asked twice. Signs in where it must. */
  async ask(path: string, init: RequestInit = {}, server?: ServerMember): Promise<Response> {
    const deadline = Date.now() + 10 * PATIENCE_MS
    let last: unknown
    while (Date.now() < deadline) {
      try {
        const reply = await this.once(path, init, server)
        if (reply.status === 401) await this.signIn()
        else if (reply.status < 500) return reply
        last = reply.status
      } catch (error) {
        if (!(error instanceof Unanswered)) throw error
        last = error
      }
      await pause(50)
    }
    throw new Error(`${init.method ?? 'GET'} ${path} is never answered`, { cause: last })
  }

  async json<T>(path: string): Promise<T> {
    const reply = await this.ask(path)
    if (!reply.ok) throw new Error(`${path}: ${reply.status} ${await reply.text()}`)
    return (await reply.json()) as T
  }

  /** Gives the ids of the favourites. */
  async signIn(): Promise<number[]> {
    this.#cookies = new Map()
    const body = JSON.stringify(SUPERUSER)
    const headers = { 'content-type': 'application/json' }
    const reply = await this.ask('/users/login/', { method: 'POST', body, headers })
    if (reply.status !== 200) throw new Error(`login: ${reply.status} ${await reply.text()}`)
    return ((await reply.json()) as { favorite_videos: number[] }).favorite_videos
  }

  /** All there are. */
  async videos(server?: ServerMember): Promise<AdminVideo[]> {
    const videos: AdminVideo[] = []
    for (let page = 1; ; page += 1) {
      const path = `/admin/api/videos/?page=${page}&page_size=100&ordering=created_at`
      const reply = await this.ask(path, {}, server)
      const { results, next } = (await reply.json()) as {
        results: AdminVideo[]
        next: string | null
      }
      videos.push(...results)
      if (next === null) return videos
    }
  }

  #complain(what: string, { method = 'GET' }: RequestInit, path: string, answer = ''): void {
    this.complaints.push(`${what}: ${method} ${path} ${answer}`.trimEnd())
  }
}

/** An answer that was cut off is none. */
async function whole(reply: Response): Promise<Response> {
  const body = await reply.arrayBuffer()
  const { status, headers } = reply
  return new Response(body.byteLength === 0 ? null : body, { status, headers })
}
