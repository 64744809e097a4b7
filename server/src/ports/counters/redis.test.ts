import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { has } from '../../../../test/harness/programs.ts'
import { sendToRedis, startRedis, type Redis } from '../../../../test/harness/redis.ts'
import { aLink } from '../redis/redis.fixture.ts'
import type { RedisLink } from '../redis/redis.ts'
import { testCounters } from './counters.contract.ts'
import { redisCounters } from './redis.ts'

const SECRET = Buffer.from('of these servers')
const MINUTE = 60_000

describe.skipIf(!has('redis'))('with Redis', () => {
  testCounters('Redis', async () => {
    const redis = await startRedis()
    const links: RedisLink[] = []
    return {
      async another() {
        const { link } = await aLink(redis.url)
        links.push(link)
        return redisCounters(link, SECRET)
      },
      async stop() {
        for (const link of links) link.close()
        await redis.stop()
      },
    }
  })

  describe('that two servers share', () => {
    let redis: Redis
    let links: [RedisLink, RedisLink]
    beforeAll(async () => {
      redis = await startRedis()
      links = [(await aLink(redis.url)).link, (await aLink(redis.url)).link]
    })
    afterAll(async () => {
      for (const link of links) link.close()
      await redis.stop()
    })
    const both = () => links.map((link) => redisCounters(link, SECRET))

    test('they count together', async () => {
      const [one, other] = both().map((counters) => counters.counter('together', MINUTE))
      await one?.add('a')
      expect(await other?.add('a')).toMatchObject({ count: 2 })
      const [first, second] = both().map((counters) => counters.waits('waits'))
      await first?.begin('a', 30)
      expect(await second?.leftMs('a')).toBeGreaterThan(25_000)
      await second?.forget('a')
      expect(await first?.leftMs('a')).toBe(0)
    })

    test('no address is stored in the clear, and everything expires', async () => {
      const [counters] = both()
      await counters?.counter('hidden', MINUTE).add('victim@example.com 192.0.2.7')
      await counters?.waits('hidden').begin('victim@example.com', 30)
      const { commands } = links[0]
      const keys = await commands.keys('*')
      expect(keys.length).toBeGreaterThan(1)
      for (const key of keys) {
        expect(key).toMatch(/^test:0:count:\w+:[\w-]{22}$/)
        expect(await commands.pttl(key)).toBeGreaterThan(0)
      }
    })

    test('without Redis, each goes on for itself', async () => {
      expect(await sendToRedis(redis.port, 'FLUSHALL')).toBe('+OK')
      const [one, other] = both().map((counters) => ({
        counter: counters.counter('apart', MINUTE),
        waits: counters.waits('apart-waits'),
      }))
      await one?.counter.add('a')
      redis.kill('SIGSTOP')
      const begun = performance.now()
      expect(await one?.counter.add('a')).toMatchObject({ count: 1 })
      expect(await one?.counter.add('a')).toMatchObject({ count: 2 })
      expect(await other?.counter.add('a')).toMatchObject({ count: 1 })
      await one?.waits.begin('a@example.com', 30)
      expect(await one?.waits.leftMs('a@example.com')).toBeGreaterThan(25_000)
      expect(await other?.waits.leftMs('a@example.com')).toBe(0)
      await one?.waits.forget('a@example.com')
      expect(await one?.waits.leftMs('a@example.com')).toBe(0)
      await one?.counter.forget('a')
      // Each waited for Redis once.
      expect(performance.now() - begun).toBeLessThan(500)
      redis.kill('SIGCONT')
      for (const link of links) await link.check()
      await other?.counter.add('b')
      expect(await one?.counter.add('b')).toMatchObject({ count: 2 })
    })
  })
})
