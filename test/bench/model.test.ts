import { describe, expect, test } from 'vitest'
import {
  divided,
  line,
  makespan,
  saturatesAt,
  serialShare,
  steadyLoad,
  workOf,
  type Costs,
} from '../../bench/scale/model.ts'

const FREE = { startSeconds: 0, downloadSeconds: 0 }

/** One look, then parts that anybody may do, then a last step. */
const FILM = [
  { name: 'probe', seconds: 2, after: [] },
  ...[1, 2, 3, 4].map((part) => ({ name: `part ${part}`, seconds: 10, after: ['probe'] })),
  { name: 'package', seconds: 3, after: ['part 1', 'part 2', 'part 3', 'part 4'] },
]

describe('the work of steps', () => {
  test('is their time, where they ran one after the other', () => {
    const steps = [
      { name: 'b', begunAt: 4, endedAt: 9, after: ['a'] },
      { name: 'a', begunAt: 0, endedAt: 4, after: [] },
    ]
    expect(workOf(steps)).toEqual([
      { name: 'a', seconds: 4, after: [] },
      { name: 'b', seconds: 5, after: ['a'] },
    ])
  })

  test('is half of the time that two shared a core', () => {
    const steps = [
      { name: 'long', begunAt: 0, endedAt: 10, after: [] },
      { name: 'short', begunAt: 4, endedAt: 6, after: [] },
    ]
    expect(workOf(steps).map(({ seconds }) => seconds)).toEqual([9, 1])
  })
})

test('a step that is shared out is as much work, and all of it must be done', () => {
  const work = [
    { name: 'whole', seconds: 9, after: [] },
    { name: 'package', seconds: 1, after: ['whole'] },
  ]
  expect(makespan(divided(work, 'whole', 3), 1, FREE)).toBe(10)
  expect(makespan(divided(work, 'whole', 3), 3, FREE)).toBe(4)
  expect(makespan(work, 3, FREE)).toBe(10)
})

describe('the time of a film', () => {
  test('is all of its work, with one worker', () => {
    expect(makespan(FILM, 1, FREE)).toBe(45)
  })

  test('is shared by workers as far as steps can be', () => {
    expect(makespan(FILM, 2, FREE)).toBe(25)
    expect(makespan(FILM, 3, FREE)).toBe(25)
    expect(makespan(FILM, 4, FREE)).toBe(15)
    expect(makespan(FILM, 100, FREE)).toBe(15)
  })

  test('counts every start, and the source once for each further worker', () => {
    const overhead = { startSeconds: 1, downloadSeconds: 5 }
    expect(makespan(FILM, 1, overhead)).toBe(45 + 6)
    // The second worker fetches the source: 2+1, then 5+1+10 and 1+10 behind it, and at last 3+1.
    expect(makespan(FILM, 2, overhead)).toBe(3 + 16 + 11 + 4)
  })

  test('keeps to the order of the list: what waits longest goes first', () => {
    const work = [
      { name: 'whole', seconds: 8, after: [] },
      { name: 'one', seconds: 4, after: [] },
      { name: 'two', seconds: 4, after: [] },
    ]
    expect(makespan(work, 2, FREE)).toBe(8)
    expect(makespan(work.toReversed(), 2, FREE)).toBe(12)
  })

  test('is not told of steps that wait for each other', () => {
    const circle = [
      { name: 'a', seconds: 1, after: ['b'] },
      { name: 'b', seconds: 1, after: ['a'] },
    ]
    expect(() => makespan(circle, 2, FREE)).toThrow('wait for each other')
  })
})

test('the serial share is none of a full speed-up, and all of none', () => {
  expect(serialShare(2, 2)).toBe(0)
  expect(serialShare(1, 2)).toBe(1)
  expect(serialShare(1.6, 2)).toBeCloseTo(0.25)
})

describe('many films on many workers', () => {
  const COSTS: Costs = {
    coreSeconds: 100,
    tasks: 10,
    rings: 20,
    postgresSeconds: 1,
    lookSeconds: 0.001,
    sweepSeconds: 0.01,
    sweepEverySeconds: 10,
    sourceBytes: 1e8,
    otherBytes: 2e8,
    connections: 4,
  }
  const CAPACITIES = {
    postgresCores: 1,
    connections: 100,
    storeBytesPerSecond: 1e8,
    redisMessagesPerSecond: 1000,
  }

  test('use what they share', () => {
    const { filmsPerHour, used } = steadyLoad(COSTS, 10, CAPACITIES)
    expect(filmsPerHour).toBe(360)
    // A tenth of a film a second: 1 + 20 rings × 10 looks × 1 ms; and ten sweeps in ten seconds.
    expect(used['PostgreSQL, CPU']).toBeCloseTo(0.1 * 1.2 + 0.01)
    expect(used['PostgreSQL, connections']).toBeCloseTo(0.4)
    expect(used['S3, bytes']).toBeCloseTo(1.2)
    expect(used['Redis, messages']).toBeCloseTo(0.02)
  })

  test('fetch a film no more often than it has steps', () => {
    const twice = steadyLoad(COSTS, 20, CAPACITIES).used['S3, bytes']
    expect(twice / steadyLoad(COSTS, 10, CAPACITIES).used['S3, bytes']).toBeCloseTo(2)
  })

  test('saturate each of it at a number of workers', () => {
    expect(saturatesAt('PostgreSQL, connections', COSTS, CAPACITIES)).toBe(25)
    const workers = saturatesAt('PostgreSQL, CPU', COSTS, CAPACITIES) ?? 0
    expect(steadyLoad(COSTS, workers, CAPACITIES).used['PostgreSQL, CPU']).toBeGreaterThanOrEqual(1)
    expect(steadyLoad(COSTS, workers - 1, CAPACITIES).used['PostgreSQL, CPU']).toBeLessThan(1)
    expect(saturatesAt('Redis, messages', COSTS, CAPACITIES, 10)).toBeNull()
  })
})

test('a line goes through its points', () => {
  expect(line([1, 3, 5].map((x) => ({ x, y: 3 + 2 * x })))).toEqual({ base: 3, each: 2 })
  expect(line([{ x: 4, y: 7 }])).toEqual({ base: 7, each: 0 })
})
