import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Counters } from './counters.ts'

export interface CountersUnderTest {
  /** One more server’s; the same where servers do not count together. */
  another(): Promise<Counters>
  stop(): Promise<void>
}

const MINUTE = 60_000

/** What all counters must do. */
export function testCounters(name: string, start: () => Promise<CountersUnderTest>): void {
  describe(`on ${name}`, () => {
    let started: CountersUnderTest
    let counters: Counters
    beforeAll(async () => {
      started = await start()
      counters = await started.another()
    })
    afterAll(() => started.stop())

    test('counts up, each key for itself', async () => {
      const counter = counters.counter(randomUUID(), MINUTE)
      expect(await counter.add('a')).toMatchObject({ count: 1 })
      expect(await counter.add('a')).toMatchObject({ count: 2 })
      expect(await counter.add('b@example.com 2001:db8::1')).toMatchObject({ count: 1 })
      const { leftMs } = await counter.add('a')
      expect(leftMs).toBeGreaterThan(MINUTE - 5000)
      expect(leftMs).toBeLessThanOrEqual(MINUTE)
    })

    test('many at once are each counted', async () => {
      const counter = counters.counter(randomUUID(), MINUTE)
      const counts = await Promise.all(Array.from({ length: 100 }, () => counter.add('a')))
      expect(counts.map(({ count }) => count).sort((a, b) => a - b)).toEqual(
        Array.from({ length: 100 }, (_, at) => at + 1),
      )
    })

    test('begins anew when the window has ended', async () => {
      const counter = counters.counter(randomUUID(), 1000)
      await counter.add('a')
      await expect
        .poll(async () => (await counter.add('a')).count, { timeout: 5000, interval: 300 })
        .toBe(1)
    })

    test('one name is one counter, another name another', async () => {
      const [name, other] = [randomUUID(), randomUUID()]
      const counter = counters.counter(name, MINUTE)
      await counter.add('a')
      expect(await counters.counter(other, MINUTE).add('a')).toMatchObject({ count: 1 })
      expect(await counters.waits(name).leftMs('b')).toBe(0)
      await counter.forget('a')
      await counter.forget('a')
      expect(await counter.add('a')).toMatchObject({ count: 1 })
    })

    test('tells how long to wait, until it is forgotten or over', async () => {
      const waits = counters.waits(randomUUID())
      expect(await waits.leftMs('a')).toBe(0)
      await waits.begin('a', 60)
      await waits.begin('b', 1)
      expect(await waits.leftMs('a')).toBeGreaterThan(55_000)
      await waits.begin('a', 30)
      expect(await waits.leftMs('a')).toBeLessThanOrEqual(30_000)
      await waits.forget('a')
      expect(await waits.leftMs('a')).toBe(0)
      await expect.poll(() => waits.leftMs('b'), { timeout: 5000 }).toBe(0)
    })
  })
}
