import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { keepProgress } from './progress.ts'
import type { Progress } from './task.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const at = (percent: number): Progress => ({ step: 'encode', percent, speed: 1, etaSeconds: 1 })

function stored() {
  const seen: number[] = []
  const keeper = keepProgress(({ percent }) => Promise.resolve(void seen.push(percent)))
  return { seen, keeper }
}

test('the first at once, then the latest once a second', () => {
  const { seen, keeper } = stored()
  for (let percent = 0; percent < 50; percent += 1) {
    keeper.report(at(percent))
    vi.advanceTimersByTime(100)
  }
  expect(seen).toEqual([0, 9, 19, 29, 39, 49])
})

test('the last of a burst is not lost, and silence stores nothing', () => {
  const { seen, keeper } = stored()
  for (const percent of [1, 2, 3]) keeper.report(at(percent))
  vi.advanceTimersByTime(60_000)
  expect(seen).toEqual([1, 3])
})

test('after the end nothing is stored, and no timer is left', () => {
  const { seen, keeper } = stored()
  for (const percent of [1, 2]) keeper.report(at(percent))
  keeper.stop()
  keeper.report(at(3))
  vi.advanceTimersByTime(60_000)
  expect(seen).toEqual([1])
  expect(vi.getTimerCount()).toBe(0)
})
