import { describe, expect, test } from 'vitest'
import { retryAfterMs } from './send-webhook.ts'

const now = new Date('2026-06-19T12:00:00Z')
const [SECOND, HOUR] = [1000, 3_600_000]

describe('Retry-After', () => {
  test.each<[string | null, number]>([
    [null, 0],
    ['', 0],
    ['0', 0],
    ['120', 120 * SECOND],
    ['3600', HOUR],
    ['3601', HOUR],
    ['9'.repeat(400), HOUR],
    ['Fri, 19 Jun 2026 12:00:30 GMT', 30 * SECOND],
    ['Fri, 19 Jun 2026 11:00:00 GMT', 0],
    ['Fri, 19 Jun 2099 12:00:00 GMT', HOUR],
    ['soon', 0],
    ['-5', 0],
  ])('%j is %d ms', (header, ms) => {
    expect(retryAfterMs(header, now)).toBe(ms)
  })
})
