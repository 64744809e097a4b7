import { expect, test } from 'vitest'
import { hashOfRecoveryCode, newRecoveryCodes } from './recovery-codes.ts'

test('makes ten different codes that can be written down', () => {
  const codes = newRecoveryCodes()
  expect(new Set(codes).size).toBe(10)
  for (const code of codes) expect(code).toMatch(/^[a-z2-7]{4}(-[a-z2-7]{4}){3}$/)
})

test('reads a code as people copy it', () => {
  const hash = hashOfRecoveryCode('kolb-z7qa-x2dw-hb5t')
  expect(hash).toMatch(/^[\w-]{43}$/)
  for (const typed of [
    'KOLBZ7QAX2DWHB5T',
    ' k018 z7qa x2dw hb5t ',
    'kolb-z7qa–x2dw-hb5t'.replace('–', '-'),
  ]) {
    expect(hashOfRecoveryCode(typed)).toBe(hash)
  }
  expect(hashOfRecoveryCode('aolb-z7qa-x2dw-hb5t')).not.toBe(hash)
})

test.each(['', '123456', 'kolb-z7qa-x2dw-hb5', 'kolb-z7qa-x2dw-hb5tt', 'kolb-z7qa-x2dw-hb9t'])(
  'takes no %j for a code',
  (typed) => expect(hashOfRecoveryCode(typed)).toBeNull(),
)
