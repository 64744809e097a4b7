import { expect, test } from 'vitest'
import { SessionChecks } from './session-checks.ts'

const VIEWER = { userId: 1, email: 'ada@example.com', isSuperuser: false, sessionId: 's' }
const FAR = 1_000_000

test('a check is believed for a second and a half, and never longer than the token lives', () => {
  const checks = new SessionChecks()
  const { age } = checks
  checks.remember('long', VIEWER, { age, tokenExpiresAt: FAR, now: 0 })
  checks.remember('short', VIEWER, { age, tokenExpiresAt: 500, now: 0 })
  expect([checks.find('long', 1499), checks.find('long', 1500)]).toEqual([VIEWER, null])
  expect([checks.find('short', 499), checks.find('short', 500)]).toEqual([VIEWER, null])
  expect(checks.find('other', 0)).toBeNull()
})

test('what was read before something ended is not remembered after it', () => {
  const checks = new SessionChecks()
  const { age } = checks
  checks.remember('before', VIEWER, { age, tokenExpiresAt: FAR, now: 0 })
  checks.forgetAll()
  checks.remember('late', VIEWER, { age, tokenExpiresAt: FAR, now: 0 })
  expect([checks.find('before', 1), checks.find('late', 1)]).toEqual([null, null])
  checks.remember('after', VIEWER, { age: checks.age, tokenExpiresAt: FAR, now: 0 })
  expect(checks.find('after', 1)).toEqual(VIEWER)
})
