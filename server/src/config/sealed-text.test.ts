import { expect, test } from 'vitest'
import { deriveKeys } from './keys.ts'
import { openSealedText, sealText } from './sealed-text.ts'

const keys = deriveKeys('the secret of today', [])

test('opens what was sealed, and never looks the same twice', () => {
  const sealed = sealText(keys, 'totp', 'totp:1', 'Grüße')
  expect(openSealedText(keys, 'totp', 'totp:1', sealed)).toEqual({
    text: 'Grüße',
    isOutdated: false,
  })
  expect(sealText(keys, 'totp', 'totp:1', 'Grüße')).not.toBe(sealed)
})

test('opens nothing for another purpose or context, and nothing that was changed', () => {
  const sealed = sealText(keys, 'totp', 'totp:1', 'secret')
  expect(openSealedText(keys, 'openid', 'totp:1', sealed)).toBeNull()
  expect(openSealedText(keys, 'totp', 'totp:2', sealed)).toBeNull()
  const bytes = Buffer.from(sealed, 'base64url')
  for (const at of bytes.keys()) {
    const changed = Buffer.from(bytes)
    changed[at] = (changed[at] ?? 0) ^ 1
    expect(openSealedText(keys, 'totp', 'totp:1', changed.toString('base64url'))).toBeNull()
  }
  for (const text of ['', 'x', '{}', sealed.slice(0, -8)]) {
    expect(openSealedText(keys, 'totp', 'totp:1', text)).toBeNull()
  }
})

test('opens under a fallback key, and says that it is outdated', () => {
  const sealed = sealText(keys, 'totp', 'totp:1', 'secret')
  const rotated = deriveKeys('the secret of tomorrow', ['the secret of today'])
  expect(openSealedText(rotated, 'totp', 'totp:1', sealed)).toEqual({
    text: 'secret',
    isOutdated: true,
  })
  expect(
    openSealedText(deriveKeys('the secret of tomorrow', []), 'totp', 'totp:1', sealed),
  ).toBeNull()
})
