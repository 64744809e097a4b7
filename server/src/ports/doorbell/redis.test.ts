import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { has } from '../../../../test/harness/programs.ts'
import { sendToRedis, startRedis, type Redis } from '../../../../test/harness/redis.ts'
import { aLink, aLinkToNowhere } from '../redis/redis.fixture.ts'
import type { RedisLink } from '../redis/redis.ts'
import { testDoorbell } from './doorbell.contract.ts'
import { BELLS, type Doorbell } from './doorbell.ts'
import { redisDoorbell } from './redis.ts'

const SOON = { timeout: 5000, interval: 5 }

/** The channel that a doorbell listens to must be there before a ring is. */
async function isListening({ subscriptions }: RedisLink): Promise<void> {
  await expect.poll(() => subscriptions.mode === 'subscriber', SOON).toBe(true)
  await subscriptions.ping()
}

describe.skipIf(!has('redis'))('with Redis', () => {
  testDoorbell('Redis', async () => {
    const redis = await startRedis()
    const links: RedisLink[] = []
    const doorbells: Doorbell[] = []
    return {
      async another() {
        const { link } = await aLink(redis.url)
        // `ready` is over: it listens from the next one on, as after a loss.
        const doorbell = redisDoorbell(link)
        link.subscriptions.emit('ready')
        await isListening(link)
        links.push(link)
        doorbells.push(doorbell)
        return doorbell
      },
      async stop() {
        for (const doorbell of doorbells) await doorbell.close()
        for (const link of links) link.close()
        await redis.stop()
      },
    }
  })

  describe('that comes and goes', () => {
    let redis: Redis
    beforeAll(async () => void (redis = await startRedis()))
    afterAll(() => redis.stop())

    async function aDoorbell() {
      const { link, logs } = aLinkToNowhere(redis.url)
      const doorbell = redisDoorbell(link)
      const heard = BELLS.map((bell) => {
        const listener = vi.fn<() => void>()
        doorbell.onRing(bell, listener)
        return listener
      })
      await isListening(link)
      return { link, logs, doorbell, heard, [Symbol.asyncDispose]: close }
      async function close() {
        await doorbell.close()
        link.close()
      }
    }

    test('the first ring of a process that has just begun reaches others', async () => {
      await using listener = await aDoorbell()
      const { link } = aLinkToNowhere(redis.url)
      const ringer = redisDoorbell(link)
      ringer.ring('tasks')
      await ringer.close()
      link.close()
      await expect.poll(() => listener.heard[0]?.mock.calls.length, SOON).toBe(1)
    })

    test('rings while it is away are heard here at once, and elsewhere once when it is back', async () => {
      await using here = await aDoorbell()
      await using there = await aDoorbell()
      redis.kill('SIGKILL')
      for (let i = 0; i < 1000; i += 1) here.doorbell.ring('tasks')
      await expect.poll(() => here.heard[0]?.mock.calls.length, SOON).toBe(1000)
      expect(there.heard[0]).not.toHaveBeenCalled()
      await redis.restart()
      for (const { heard } of [here, there]) {
        for (const listener of heard)
          await expect.poll(() => listener.mock.calls.length, SOON).toBeGreaterThan(0)
      }
      // For being deaf, and for the thousand.
      expect(there.heard[0]?.mock.calls.length).toBeLessThanOrEqual(2)
    })

    test('a subscription that others cut is made anew', async () => {
      await using here = await aDoorbell()
      await using there = await aDoorbell()
      await sendToRedis(redis.port, 'CLIENT KILL TYPE pubsub')
      await expect.poll(() => there.heard[1]?.mock.calls.length, SOON).toBeGreaterThan(0)
      const before = there.heard[1]?.mock.calls.length ?? 0
      here.doorbell.ring('catalogue')
      await expect.poll(() => there.heard[1]?.mock.calls.length, SOON).toBe(before + 1)
    })

    test('closing takes no longer than half a second when it hangs', async () => {
      const here = await aDoorbell()
      redis.kill('SIGSTOP')
      here.doorbell.ring('tasks')
      const begun = performance.now()
      await here[Symbol.asyncDispose]()
      expect(performance.now() - begun).toBeLessThan(1000)
      redis.kill('SIGCONT')
      await sleep(0)
    })
  })
})
