import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS } from '../harness/app.ts'
import { has } from '../harness/programs.ts'
import { sendToRedis } from '../harness/redis.ts'
import { adminVideo, until, upload } from '../videos/library.ts'
import { ageOfList, lifeAfterLogout, linesWith, startSite, type Site } from './site.ts'

/** Far less than what looking takes: 2 s for sessions, 5 s for the catalogue, 60 s for tasks. */
const AT_ONCE_MS = 1500

describe.skipIf(!has('redis')).each(BACKENDS)('two servers and a worker, %s', (backend) => {
  let site: Site
  beforeAll(async () => {
    // No sweep helps within the test.
    site = await startSite(backend, { JOB_SWEEP_INTERVAL: '60' })
  })
  afterAll(() => site[Symbol.asyncDispose]())

  const isReady = async (id: number) =>
    (await adminVideo(site.superuser, id)).processing_state === 'ready'
  const isBegun = async (id: number) =>
    (await adminVideo(site.superuser, id)).processing_state !== 'pending'

  test('an upload is taken up at once', async () => {
    const { id } = await upload(site.superuser)
    const begun = performance.now()
    await until(() => isBegun(id), 'the worker has begun')
    expect(performance.now() - begun).toBeLessThan(AT_ONCE_MS)
    await until(() => isReady(id), 'the film is ready')
  })

  test('a change of the catalogue is seen at once', async () => {
    const { id } = await upload(site.superuser)
    await until(() => isReady(id), 'the film is ready')
    for (const title of ['first title', 'second title']) {
      expect(await ageOfList(site, id, title)).toBeLessThan(AT_ONCE_MS)
    }
  })

  test('whoever signs out is signed out everywhere at once', async () => {
    for (let round = 0; round < 3; round += 1) {
      expect(await lifeAfterLogout(site)).toBeLessThan(AT_ONCE_MS)
    }
  })

  test('a Redis that is emptied all the time loses nothing', async () => {
    let isOver = false
    let times = 0
    const flushing = (async () => {
      for (; !isOver; times += 1) {
        await sendToRedis(site.redis.port, 'FLUSHALL')
        await sleep(5)
      }
    })()
    const videos = await Promise.all([upload(site.superuser), upload(site.superuser)])
    for (const { id } of videos) await until(() => isReady(id), 'the film is ready')
    expect(await lifeAfterLogout(site)).toBeLessThan(AT_ONCE_MS)
    isOver = true
    await flushing
    expect(times).toBeGreaterThan(20)
  })

  test('nothing is kept in Redis but counts that expire', async () => {
    expect(await sendToRedis(site.redis.port, 'FLUSHALL')).toBe('+OK')
    const { id } = await upload(site.superuser)
    await until(() => isReady(id), 'the film is ready')
    await lifeAfterLogout(site)
    const keys = Number((await sendToRedis(site.redis.port, 'DBSIZE')).slice(1))
    const script = `return #redis.call('keys','videoflix:0:count:*')`
    expect(await sendToRedis(site.redis.port, `EVAL "${script}" 0`)).toBe(`:${keys}`)
  })

  test('nobody had anything to complain of', () => {
    for (const child of [...site.servers, site.worker]) {
      expect(linesWith(child, 'Redis')).toEqual([])
      expect(child.output()).not.toContain('internal error')
    }
  })
})
