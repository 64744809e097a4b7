import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Doorbell } from './doorbell.ts'

export interface DoorbellUnderTest {
  /** One more process’s, which hears by now; the same one where there can be only one process. */
  another(): Promise<Doorbell>
  stop(): Promise<void>
}

const SOON = { timeout: 5000 }

/** What every doorbell must do. A ring may be lost or doubled by contract; while all is well it is not lost. */
export function testDoorbell(name: string, start: () => Promise<DoorbellUnderTest>): void {
  describe(`on ${name}`, () => {
    let started: DoorbellUnderTest
    let ringer: Doorbell
    let listener: Doorbell
    beforeAll(async () => void (started = await start()))
    afterAll(() => started.stop())
    beforeEach(async () => {
      ringer = await started.another()
      listener = await started.another()
    })

    test('who listens hears it, each of them', async () => {
      const [one, two] = [vi.fn<() => void>(), vi.fn<() => void>()]
      listener.onRing('tasks', one)
      listener.onRing('tasks', two)
      await expect
        .poll(
          () => (ringer.ring('tasks'), [one.mock.calls.length > 0, two.mock.calls.length > 0]),
          SOON,
        )
        .toEqual([true, true])
    })

    test('who rings hears it too', async () => {
      const heard = vi.fn<() => void>()
      ringer.onRing('catalogue', heard)
      ringer.ring('catalogue')
      await expect.poll(() => heard.mock.calls.length, SOON).toBeGreaterThan(0)
    })

    test('one bell is not the other', async () => {
      const [tasks, catalogue] = [vi.fn<() => void>(), vi.fn<() => void>()]
      listener.onRing('tasks', tasks)
      listener.onRing('catalogue', catalogue)
      await expect
        .poll(() => (ringer.ring('catalogue'), catalogue.mock.calls.length), SOON)
        .toBeGreaterThan(0)
      expect(tasks).not.toHaveBeenCalled()
    })

    test('never within the call: what was told to ring goes on first', async () => {
      const heard = vi.fn<() => void>()
      listener.onRing('tasks', heard)
      ringer.ring('tasks')
      expect(heard).not.toHaveBeenCalled()
      await expect.poll(() => heard.mock.calls.length, SOON).toBeGreaterThan(0)
    })

    test('who stopped listening hears nothing; the others do', async () => {
      const [stopped, other] = [vi.fn<() => void>(), vi.fn<() => void>()]
      const stop = listener.onRing('tasks', stopped)
      listener.onRing('tasks', other)
      stop()
      stop()
      await expect
        .poll(() => (ringer.ring('tasks'), other.mock.calls.length), SOON)
        .toBeGreaterThan(0)
      expect(stopped).not.toHaveBeenCalled()
    })

    test('ringing after the close, or closing twice, is harmless', async () => {
      const closed = await started.another()
      const heard = vi.fn<() => void>()
      closed.onRing('tasks', heard)
      closed.ring('tasks')
      await closed.close()
      await closed.close()
      heard.mockClear()
      closed.ring('tasks')
      await new Promise((resolve) => setImmediate(resolve))
      expect(heard).not.toHaveBeenCalled()
    })
  })
}
