import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodedRung } from './encoding.ts'
import { divide } from './parts.ts'

const rungs = [
  { name: '1080p', width: 1920, height: 1080 } as const,
  { name: '720p', width: 1280, height: 720 } as const,
  { name: '360p', width: 640, height: 360 } as const,
  { name: '120p', width: 214, height: 120 } as const,
].map((rung) => encodedRung(rung))

const work = {
  ...{ rungs, hasAudio: true, isSeekable: true, cuts: null },
  ...{ durationMs: 700_000, chunkMinDurationMs: 600_000 },
}

test('a short film is one run', () => {
  for (const short of [{ durationMs: 599_000 }, { durationMs: 0 }, { isSeekable: false }]) {
    expect(divide({ ...work, ...short })).toEqual([
      {
        ...{ name: 'encode', rungs: ['1080p', '720p', '360p', '120p'], range: null },
        ...{ hasAudio: true, hasStills: true },
      },
    ])
  }
})

test('a long film begins with its small rungs, sound and stills', () => {
  const [first, ...chunks] = divide(work)
  expect(first).toEqual({
    ...{ name: 'encode small', rungs: ['360p', '120p'], range: null },
    ...{ hasAudio: true, hasStills: true },
  })
  expect(chunks.map(({ name, rungs: names, range }) => ({ name, names, range }))).toEqual(
    [0, 120, 240, 360, 480, 600].map((from, index) => ({
      name: `encode ${index + 1}/6`,
      names: ['1080p', '720p'],
      range: { from, to: from === 600 ? null : from + 120 },
    })),
  )
})

test('of small rungs alone, the largest is encoded in chunks', () => {
  const [first, chunk] = divide({ ...work, rungs: rungs.slice(2) })
  expect(first?.rungs).toEqual(['120p'])
  expect(chunk?.rungs).toEqual(['360p'])
})

test('nothing but stills is one run', () => {
  expect(divide({ ...work, rungs: [], hasAudio: false })).toEqual([
    { name: 'encode', rungs: [], range: null, hasAudio: false, hasStills: true },
  ])
})

test('chunks meet where the segments of a copied rung do', () => {
  const cuts = Array.from({ length: 70 }, (_, index) => index * 10.1)
  const starts = divide({ ...work, cuts })
    .slice(1)
    .map(({ range }) => range?.from ?? NaN)
  expect(starts.every((start) => cuts.includes(start))).toBe(true)
  expect(starts).toHaveLength(6)
})

test('chunks follow each other without a gap, whatever the film', () => {
  const seconds = fc.integer({ min: 10, max: 12 * 3600 })
  fc.assert(
    fc.property(seconds, seconds, (length, least) => {
      const parts = divide({ ...work, durationMs: length * 1000, chunkMinDurationMs: least * 1000 })
      const ranges = parts.flatMap(({ range }) => range ?? [])
      expect(ranges.length > 0).toBe(length >= least)
      expect(ranges[0]?.from ?? 0).toBe(0)
      for (const [index, { from, to }] of ranges.entries()) {
        expect(from % 4).toBe(0)
        expect(to).toBe(ranges[index + 1]?.from ?? null)
        expect((to ?? length) - from).toBeGreaterThanOrEqual(4)
        expect((to ?? length) - from).toBeLessThanOrEqual(180)
      }
    }),
  )
})
