import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { has } from '../../../../test/harness/programs.ts'
import { freePort } from '../../../../test/harness/free-port.ts'
import { sendToRedis, startRedis, type Redis } from '../../../../test/harness/redis.ts'
import { aLink, aLinkToNowhere } from './redis.fixture.ts'

const SOON = { timeout: 5000 }

describe.skipIf(!has('redis'))('the link to Redis', () => {
  let redis: Redis
  beforeEach(async () => void (redis = await startRedis()))
  afterEach(() => redis.stop())

  test('tells that it is there, and its version', async () => {
    const { link, logs } = await aLink(redis.url)
    await link.check()
    expect(await link.version()).toMatch(/^\d+\.\d+/)
    expect(link).toMatchObject({ address: `127.0.0.1:${redis.port}`, prefix: 'test:0:' })
    link.close()
    expect(logs).toEqual([])
  })

  test('says once that it is gone and once that it is back, however long and bad it is', async () => {
    const { link, logs } = await aLink(redis.url)
    redis.kill('SIGKILL')
    await expect.poll(() => logs.length, SOON).toBe(1)
    await expect(link.check()).rejects.toMatchObject({ code: 'unavailable' })
    await sleep(1500)
    expect(logs).toEqual([
      expect.stringMatching(/^Redis at 127\.0\.0\.1:\d+ is away \(.*ECONNREFUSED/),
    ])
    await redis.restart()
    await expect.poll(() => logs.length, SOON).toBe(2)
    expect(logs[1]).toMatch(/is back$/)
    await link.check()
    link.close()
  })

  test('a moment’s absence is no news', async () => {
    const { link, logs } = await aLink(redis.url)
    link.commands.disconnect(true)
    link.subscriptions.disconnect(true)
    await link.check()
    await sleep(1200)
    expect(logs).toEqual([])
    link.close()
  })

  test('one that hangs costs one command 50 ms, and the next ones nothing', async () => {
    const { link, logs } = await aLink(redis.url)
    await link.commands.set('a', '1')
    redis.kill('SIGSTOP')
    const took = async () => {
      const begun = performance.now()
      await expect(link.commands.get('a')).rejects.toThrow(/no answer|writeable|closed/)
      return performance.now() - begun
    }
    expect(await took()).toBeGreaterThan(40)
    let all = 0
    for (let i = 0; i < 20; i += 1) all += await took()
    // Twenty that wait would take a second.
    expect(all).toBeLessThan(500)
    await expect.poll(() => logs.length, SOON).toBe(1)
    redis.kill('SIGCONT')
    await expect.poll(() => logs.length, SOON).toBe(2)
    expect(await link.commands.get('a')).toBe('1')
    link.close()
  })

  test('a wrong password is told, and no password is', async () => {
    expect(await sendToRedis(redis.port, 'CONFIG SET requirepass another')).toBe('+OK')
    const url = `redis://:terrible-secret@127.0.0.1:${redis.port}/3`
    const { link, logs } = aLinkToNowhere(url)
    await expect.poll(() => logs.length, SOON).toBeGreaterThan(0)
    expect(logs.join('')).not.toContain('terrible')
    await expect(link.check()).rejects.toMatchObject({ code: 'unavailable' })
    expect(link.prefix).toBe('test:3:')
    link.close()
    const right = await aLink(`redis://:another@127.0.0.1:${redis.port}/3`)
    await right.link.check()
    right.link.close()
  })

  test('what is no Redis is as good as none', async () => {
    const stranger = createServer((socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    await once(stranger.listen(0, '127.0.0.1'), 'listening')
    const { port } = stranger.address() as AddressInfo
    const { link, logs } = aLinkToNowhere(`redis://127.0.0.1:${port}/0`)
    await expect(link.check()).rejects.toMatchObject({ code: 'unavailable' })
    await expect.poll(() => logs.length, SOON).toBe(1)
    link.close()
    stranger.close()
  })

  test('where there is none, the check fails in time', async () => {
    const { link } = aLinkToNowhere(`redis://127.0.0.1:${await freePort()}/0`)
    const begun = performance.now()
    await expect(link.check()).rejects.toMatchObject({ code: 'unavailable' })
    expect(performance.now() - begun).toBeLessThan(1500)
    link.close()
  })
})
