import { describe, expect, test } from 'vitest'
import type { StepView } from '../processing/step-views.ts'
import { toProgress, toStep } from './step-object.ts'

const NOW = new Date('2026-06-19T12:10:00.000Z')
const TEN_MINUTES_AGO = new Date('2026-06-19T12:00:00.000Z')

function aStep(kind: StepView['kind'], given: Partial<StepView> = {}): StepView {
  return {
    ...{ id: 1, source_id: 3, name: kind, kind, state: 'waiting', attempts: 0 },
    ...{ command: null, output: null, error_code: null, error_message: null },
    ...{ started_at: null, finished_at: null, progress: null },
    ...given,
  }
}
const done = (kind: StepView['kind'], given: Partial<StepView> = {}): StepView =>
  aStep(kind, { state: 'done', attempts: 1, started_at: TEN_MINUTES_AGO, ...given })
const running = (kind: StepView['kind'], percent: number | null = null): StepView =>
  aStep(kind, {
    ...{ state: 'running', attempts: 1, name: `${kind} that runs`, started_at: NOW },
    progress: percent === null ? null : { step: kind, percent, speed: 2, etaSeconds: 30 },
  })

describe('how far a source is', () => {
  const percentOf = (steps: StepView[]): number => toProgress(steps, NOW).percent

  test('grows from step to step, also when steps are added on the way', () => {
    const copied = [done('probe'), done('copy')]
    const story = [
      [],
      [running('probe')],
      [done('probe'), aStep('copy')],
      [done('probe'), running('copy', 50)],
      [...copied, aStep('encode'), aStep('encode')],
      [...copied, running('encode', 10), aStep('encode'), done('package')],
      [...copied, done('encode'), running('encode'), done('package')],
      [...copied, done('encode'), running('encode', 99.9), done('package')],
      [...copied, done('encode'), done('encode'), done('package'), aStep('package')],
      [...copied, done('encode'), done('encode'), done('package'), running('package', 40)],
      [...copied, done('encode'), done('encode'), done('package'), done('package')],
    ]
    const percents = story.map(percentOf)
    expect(percents).toEqual(percents.toSorted((one, other) => one - other))
    expect(percents.at(0)).toBe(0)
    expect(percents.at(-1)).toBe(100)
  })

  test('does not wait for a copy or subtitles that the film does not need', () => {
    expect(percentOf([done('probe'), done('encode'), done('package')])).toBe(100)
    const withSubtitles = [done('probe'), done('encode'), done('package'), aStep('subtitles')]
    expect(percentOf(withSubtitles)).toBe(99)
  })

  test('names the step that encodes before all others that run', () => {
    const steps = [done('probe'), running('encode', 10), running('package')]
    expect(toProgress(steps, NOW)).toMatchObject({ step: 'encode that runs', speed: 2 })
    expect(toProgress([done('probe'), running('package')], NOW)).toMatchObject({
      step: 'package that runs',
    })
    expect(toProgress([done('probe'), aStep('encode')], NOW)).toMatchObject({ step: 'queued' })
  })
})

describe('how long it will take', () => {
  test('is what the encoder says when only one of its runs is left', () => {
    expect(toProgress([done('probe'), running('encode', 10)], NOW).eta_seconds).toBe(30)
    const last = [done('probe'), done('encode'), running('encode', 10)]
    expect(toProgress(last, NOW).eta_seconds).toBe(30)
  })

  test('is told by the time so far while there are several', () => {
    const steps = [done('probe'), done('encode'), aStep('encode'), aStep('encode')]
    const { percent, eta_seconds: eta } = toProgress(steps, NOW)
    expect(percent).toBe(36)
    expect(eta).toBe(Math.ceil((600 * 64) / 36))
  })

  test('is not known at the very beginning', () => {
    const steps = [running('probe'), aStep('encode'), aStep('encode')]
    expect(toProgress([running('probe')], NOW).eta_seconds).toBeNull()
    expect(toProgress(steps.slice(1), NOW).eta_seconds).toBeNull()
  })
})

describe('a step', () => {
  test('tells speed and time only while it runs', () => {
    const progress = { step: 'encode', percent: 40, speed: 2, etaSeconds: 30 }
    expect(toStep(running('encode', 40))).toMatchObject({ percent: 40, speed: 2, eta_seconds: 30 })
    expect(toStep(done('encode', { progress }))).toMatchObject({
      ...{ percent: 100, speed: null, eta_seconds: null },
    })
    expect(toStep(aStep('encode', { progress }))).toMatchObject({ percent: 0, speed: null })
  })

  test('tells why its last attempt failed', () => {
    const failed = { error_code: 'timed_out', error_message: 'It took too long.' }
    const error = { code: 'timed_out', message: 'It took too long.' }
    expect(toStep(aStep('encode', failed)).error).toEqual(error)
    expect(toStep(aStep('encode')).error).toBeNull()
  })
})
