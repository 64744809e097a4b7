import { expect, test } from 'vitest'
import { chapter, toChapters } from './chapters.ts'

/** As ffprobe writes it. */
function told(start: unknown, end: unknown, title?: unknown): Record<string, unknown> {
  return {
    id: 0,
    time_base: '1/1000',
    start_time: start,
    end_time: end,
    ...(title !== undefined && { tags: { title } }),
  }
}

test('chapters have a beginning, an end and a title', () => {
  const found = [told('0.000000', '60.500000', 'The beginning'), told('60.5', '90.04', 'Later')]
  expect(toChapters(found, 90_000)).toEqual([
    { startMs: 0, endMs: 60_500, title: 'The beginning' },
    { startMs: 60_500, endMs: 90_000, title: 'Later' },
  ])
})

test('they are put in order, and do not overlap', () => {
  const found = [told('20', '100', 'B'), told('0', '50', 'A')]
  expect(toChapters(found, 60_000)).toEqual([
    { startMs: 0, endMs: 20_000, title: 'A' },
    { startMs: 20_000, endMs: 60_000, title: 'B' },
  ])
})

test('those without a title are numbered', () => {
  const found = [told('0', '1'), told('1', '2', ' \u0000 '), told('2', '3', 'Named'), told(3, 4, 7)]
  expect(toChapters(found, 0).map(({ title }) => title)).toEqual([
    'Chapter 1',
    'Chapter 2',
    'Named',
    'Chapter 4',
  ])
})

test('titles are one line of at most 200 characters without controls', () => {
  const [first] = toChapters([told('0', '1', `  a\u0000b\n\tc \u{d800}${'🎬'.repeat(300)}`)], 0)
  expect(first?.title).toBe(`a b c \u{fffd}${'🎬'.repeat(193)}`)
})

test('what has no place in the film is left out', () => {
  const found = [
    told('-5', '-1'),
    told('-5', '10'),
    told('10', '10'),
    told('30', '20'),
    told('40', 'N/A'),
    told('nonsense', '3'),
    told('NaN', '3'),
    told('1e300', 'Infinity'),
    told('99', '120'),
    null,
    'text',
    {},
  ]
  expect(toChapters(found, 60_000).map(({ startMs, endMs }) => [startMs, endMs])).toEqual([
    [0, 10_000],
    [40_000, 60_000],
  ])
})

test('whatever ffprobe tells, the result is chapters', () => {
  for (const nonsense of [undefined, null, 'text', {}, [[]], [told('0', 'N/A')]]) {
    expect(toChapters(nonsense, 0)).toEqual([])
  }
  const many = Array.from({ length: 2000 }, (_, index) => told(index, index + 1))
  const chapters = toChapters(many, 0)
  expect(chapters).toHaveLength(500)
  for (const each of chapters) expect(chapter.parse(each)).toEqual(each)
})
