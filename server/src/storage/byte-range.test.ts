import fc from 'fast-check'
import { expect, test } from 'vitest'
import { selectRange } from './byte-range.ts'

test.each([
  ['bytes=0-0', { start: 0, end: 0 }],
  ['bytes=2-5', { start: 2, end: 5 }],
  ['bytes=2-', { start: 2, end: 9 }],
  ['bytes=2-99', { start: 2, end: 9 }],
  ['bytes=-3', { start: 7, end: 9 }],
  ['bytes=-99', { start: 0, end: 9 }],
  ['Bytes= 2-5\t', { start: 2, end: 5 }],
  ['bytes=10-', 'unsatisfiable'],
  ['bytes=10-12', 'unsatisfiable'],
  ['bytes=-0', 'unsatisfiable'],
  ['bytes=5-2', null],
  ['bytes=-', null],
  ['bytes=', null],
  ['bytes=0-1,3-4', null],
  ['bytes=1 0-2', null],
  ['bytes=1.5-2', null],
  ['bytes=+1-2', null],
  ['items=0-1', null],
  ['', null],
  [undefined, null],
])('%j of ten bytes', (header, expected) => {
  expect(selectRange(header, 10)).toEqual(expected)
})

test('there is no part of nothing', () => {
  expect(selectRange('bytes=0-', 0)).toBe('unsatisfiable')
  expect(selectRange('bytes=-1', 0)).toBe('unsatisfiable')
})

test('whatever is asked for, a part lies within the file and is not empty', () => {
  const header = fc.oneof(
    fc.string(),
    fc.tuple(fc.nat(), fc.nat()).map(([first, last]) => `bytes=${first}-${last}`),
    fc.nat().map((first) => `bytes=${first}-`),
    fc.nat().map((length) => `bytes=-${length}`),
    fc.stringMatching(/^bytes=[0-9 ,-]{0,30}$/),
  )
  fc.assert(
    fc.property(header, fc.nat(), (text, size) => {
      const range = selectRange(text, size)
      if (range === null || range === 'unsatisfiable') return
      expect(range.start).toBeGreaterThanOrEqual(0)
      expect(range.end).toBeGreaterThanOrEqual(range.start)
      expect(range.end).toBeLessThan(size)
    }),
  )
})
