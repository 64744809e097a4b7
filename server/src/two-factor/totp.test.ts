import { expect, test } from 'vitest'
import { newTotpSecret, otpauthUrl, qrCode, stepOfCode } from './totp.ts'

/** RFC 6238 Appendix B: the ASCII text 12345678901234567890, and the last six of its eight digits. */
const RFC_SECRET = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'
const RFC_CODES = [
  [59, '287082'],
  [1_111_111_109, '081804'],
  [1_111_111_111, '050471'],
  [1_234_567_890, '005924'],
  [2_000_000_000, '279037'],
  [20_000_000_000, '353130'],
] as const

test.each(RFC_CODES)('reads the code of the standard at %d seconds', (seconds, code) => {
  const step = Math.floor(seconds / 30)
  expect(stepOfCode(RFC_SECRET, code, new Date(seconds * 1000))).toBe(step)
  expect(stepOfCode(RFC_SECRET, code, new Date((seconds + 30) * 1000))).toBe(step)
  expect(stepOfCode(RFC_SECRET, code, new Date((seconds - 30) * 1000))).toBe(step)
  expect(stepOfCode(RFC_SECRET, code, new Date((seconds + 60) * 1000))).toBeNull()
  expect(stepOfCode(RFC_SECRET, code, new Date(Math.max(0, seconds - 60) * 1000))).toBe(
    seconds === 59 ? 1 : null,
  )
})

test.each(['', '28708', '2870820', '２８７０８２', '28708a', ' 287082', '-87082'])(
  'takes no %j for a code',
  (code) => expect(stepOfCode(RFC_SECRET, code, new Date(59_000))).toBeNull(),
)

test('makes secrets of 160 bits, for apps to scan', () => {
  const secret = newTotpSecret()
  expect(secret).toMatch(/^[A-Z2-7]{32}$/)
  expect(newTotpSecret()).not.toBe(secret)
  const url = new URL(otpauthUrl(secret, 'ada+films@example.com'))
  expect(url.href).toMatch(/^otpauth:\/\/totp\/Videoflix:ada%2Bfilms%40example\.com\?/)
  expect(Object.fromEntries(url.searchParams)).toEqual({
    issuer: 'Videoflix',
    secret,
    algorithm: 'SHA1',
    digits: '6',
    period: '30',
  })
  expect(qrCode(url.href)).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" viewBox=/)
})
