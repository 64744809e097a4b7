import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ADMIN, aPersonAt, signIn } from '../attacks/servers.ts'
import { BACKENDS } from '../harness/app.ts'
import { Client } from '../harness/client.ts'
import { has } from '../harness/programs.ts'
import { adminVideo, until, upload } from '../videos/library.ts'
import { lifeAfterLogout, linesWith, startSite, type Site } from './site.ts'

/** One database is enough: none of it is about it. */
const [backend] = BACKENDS.toReversed()
const SWEEP_S = 2

describe.skipIf(!has('redis'))(`two servers and a worker without their Redis, ${backend}`, () => {
  let site: Site
  let id: number
  beforeAll(async () => {
    site = await startSite(backend ?? 'sqlite', { JOB_SWEEP_INTERVAL: String(SWEEP_S) })
    ;({ id } = await upload(site.superuser))
    await until(() => isReady(id), 'the film is ready')
  })
  afterAll(() => site[Symbol.asyncDispose]())

  const isReady = async (video: number) =>
    (await adminVideo(site.superuser, video)).processing_state === 'ready'
  const healthOf = async (url: string) => {
    const reply = await fetch(`${url}/health/`)
    return [reply.status, await reply.json()]
  }
  const HEALTHY = [200, { status: 'ok', components: { database: 'ok', cache: 'ok' } }]
  const SICK = [503, { status: 'error', components: { database: 'ok', cache: 'error' } }]
  const timed = async (work: () => Promise<Response>) => {
    const begun = performance.now()
    const reply = await work()
    await reply.arrayBuffer()
    return { status: reply.status, ms: performance.now() - begun }
  }

  /** What people do, at both servers, and how long the slowest of it took; a password is hashed in a while. */
  async function live(): Promise<number> {
    const times: number[] = []
    const does = async (work: () => Promise<Response>) => {
      const { status, ms } = await timed(work)
      expect(status).toBeLessThan(300)
      times.push(ms)
    }
    for (const { url } of site.servers) {
      const person = await aPersonAt(url)
      const client = new Client(url)
      await does(() => client.post('/users/login/', person))
      await does(() => client.get('/content/'))
      await does(() => client.get(`/content/video-url/${id}/?quality=120p`))
      await does(() => client.post('/users/refresh/'))
      const wrong = await timed(() =>
        new Client(url).post('/users/login/', { ...person, password: 'wrong' }),
      )
      expect(wrong.status).toBe(400)
      times.push(wrong.ms)
      await does(() => client.post('/users/logout/'))
    }
    return Math.max(...times)
  }

  async function oneLineEach(words: string, times: number): Promise<void> {
    for (const child of [...site.servers, site.worker]) {
      await until(() => linesWith(child, words).length > 0, words)
      expect(linesWith(child, words)).toHaveLength(times)
    }
  }

  test('with it, all is well', async () => {
    await live()
    for (const { url } of site.servers) expect(await healthOf(url)).toEqual(HEALTHY)
    await oneLineEachIsSilent()
  })

  test('killed: signing in, the list, playing and uploading go on, and a sweep finds the work', async () => {
    site.redis.kill('SIGKILL')
    await live()
    const video = await upload(site.superuser)
    await until(() => isReady(video.id), 'the film is ready', (SWEEP_S + 20) * 1000)
    await oneLineEach('is away', 1)
    for (const { url } of site.servers) expect(await healthOf(url)).toEqual(SICK)
    expect(await (await fetch(site.servers[0].url)).text()).toContain(
      'Not everything works: cache.',
    )
    // Looking still finds what nobody tells.
    expect(await lifeAfterLogout(site)).toBeLessThan(2500)
  })

  test('back: bells ring again by themselves', async () => {
    await site.redis.restart()
    await site.heard()
    await oneLineEach('is back', 1)
    for (const { url } of site.servers) expect(await healthOf(url)).toEqual(HEALTHY)
    expect(await lifeAfterLogout(site)).toBeLessThan(1500)
    const { id: video } = await upload(site.superuser)
    await until(() => isReady(video), 'the film is ready')
  })

  test('frozen: no request waits for it', async () => {
    const before = await live()
    site.redis.kill('SIGSTOP')
    // Also the first ones, which do not know yet.
    expect(await live()).toBeLessThan(2 * before + 400)
    await sleep(500)
    expect(await live()).toBeLessThan(2 * before + 400)
    for (const { url } of site.servers) expect(await healthOf(url)).toEqual(SICK)
    site.redis.kill('SIGCONT')
    await site.heard()
    for (const { url } of site.servers) {
      await until(async () => (await fetch(`${url}/health/`)).status === 200, 'it is healthy')
    }
    expect(await lifeAfterLogout(site)).toBeLessThan(1500)
  })

  test('ending in order takes no time while it is away, and none of it was an internal error', async () => {
    site.redis.kill('SIGKILL')
    for (const child of [...site.servers, site.worker]) {
      const begun = performance.now()
      child.kill('SIGTERM')
      expect(await child.exited).toEqual({ code: 0, signal: null })
      expect(performance.now() - begun).toBeLessThan(2500)
      expect(child.output()).not.toMatch(/internal error|Unhandled|UNHANDLED|ioredis/)
    }
  })

  async function oneLineEachIsSilent(): Promise<void> {
    await signIn(site.servers[0].url, ADMIN)
    for (const child of [...site.servers, site.worker]) {
      expect(linesWith(child, 'Redis')).toEqual([])
    }
  }
})
