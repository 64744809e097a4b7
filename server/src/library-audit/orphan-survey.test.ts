import { describe, expect, test } from 'vitest'
import { isDatabaseInDoubt, surveyStores } from './orphan-survey.ts'
import type { Finding } from './finding.ts'

const of = (orphans: number, wanted: number): { orphans: number; wanted: number } => ({
  orphans,
  wanted,
})
const NOTHING = of(0, 0)

describe('the database is in doubt', () => {
  test.each([
    ['most of three files', of(2, 1), of(1, 0)],
    ['a library of one film', of(4, 0), of(1, 0)],
    ['the originals alone', of(0, 10_000), of(21, 300)],
    ['a small part of very many', of(6000, 100_000), of(0, 20_000)],
  ])('where it does not know %s', (_name, media, originals) => {
    expect(isDatabaseInDoubt([media, originals])).toBe(true)
  })

  test.each([
    ['nothing is there', NOTHING, NOTHING],
    ['one upload broke off before there was any film', NOTHING, of(2, 0)],
    ['a worker was killed in a small library', of(5, 20), of(1, 4)],
    ['a store was away for an hour', of(20, 30), of(0, 5)],
    ['there is a hundredth too much', of(1000, 100_000), of(10, 20_000)],
  ])('not where %s', (_name, media, originals) => {
    expect(isDatabaseInDoubt([media, originals])).toBe(false)
  })
})

test('of very many orphans all are counted, and some kept in mind', async () => {
  const orphan = { problem: 'orphan', store: 'media', key: 'k', videoId: null } as const
  const finding: Finding = { ...orphan, sourceId: null, detail: '' }
  const [media, originals] = await surveyStores(
    {
      async *orphans({ within, onWanted } = {}) {
        onWanted?.(7)
        if (within?.[0] === 'originals') return
        yield await Promise.resolve({ ...finding, problem: 'foreign' as const })
        for (let n = 0; n < 10_001; n += 1) yield finding
      },
    },
    { now: new Date(), leastAgeMs: 1, signal: new AbortController().signal },
  )
  expect(media).toMatchObject({ store: 'media', wanted: 7, orphans: 10_001 })
  expect(media?.found).toHaveLength(10_000)
  expect(originals).toMatchObject({ store: 'originals', wanted: 7, orphans: 0, found: [] })
})
