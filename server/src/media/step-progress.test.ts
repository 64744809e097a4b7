import { expect, test, vi } from 'vitest'
import { StepProgress, type TranscodeProgress } from './step-progress.ts'

test('reports come at most four times a second, the last one always', () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  const told: TranscodeProgress[] = []
  const progress = new StepProgress((report) => told.push(report))
  progress.enter('probe')
  for (let ms = 0; ms <= 1000; ms += 10) {
    progress.encoded(ms, 1000, 1)
    vi.advanceTimersByTime(10)
  }
  progress.done()
  vi.useRealTimers()
  expect(told.length).toBeGreaterThanOrEqual(5)
  expect(told.length).toBeLessThanOrEqual(6)
  expect(told.at(-1)).toMatchObject({ percent: 100, etaSeconds: 0 })
})

test('percent never falls, even where ffmpeg’s time does', () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  const told: number[] = []
  const progress = new StepProgress(({ percent }) => told.push(percent))
  for (const doneMs of [100, 900, 300, 5000]) {
    progress.encoded(doneMs, 1000, 1)
    vi.advanceTimersByTime(1000)
  }
  vi.useRealTimers()
  expect(told).toEqual([10.4, 85.6, 85.6, 95])
})

test('what remains is told from the speed, where duration and speed are known', () => {
  const told: (number | null)[] = []
  const eta = (totalMs: number, speed: number | null): void =>
    new StepProgress(({ etaSeconds }) => told.push(etaSeconds)).encoded(10_000, totalMs, speed)
  eta(30_000, 2)
  eta(0, 2)
  eta(30_000, null)
  expect(told).toEqual([10, null, null])
})
