import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ZodType } from 'zod'
import { email, flag, normaliseEmail, optionalText, secretText, text } from './fields.ts'

const messageOf = (schema: ZodType, value: unknown): string | undefined => {
  const parsed = schema.safeParse(value)
  if (!parsed.success) expect(parsed.error.issues).toHaveLength(1)
  return parsed.error?.issues[0]?.message
}

test.each([
  [undefined, 'This field is required.'],
  [null, 'This field may not be null.'],
  [5, 'Not a valid string.'],
  [['a'], 'Not a valid string.'],
  ['', 'This field may not be blank.'],
  [' \t\u00a0', 'This field may not be blank.'],
  ['a\0', 'Null characters are not allowed.'],
  ['\udc00', 'Not a valid string.'],
  ['123456', 'Ensure this field has no more than 5 characters.'],
  [' 12345 ', undefined],
  ['🎬🎬🎬🎬🎬', undefined],
])('text of at most five characters: %j → %s', (value, message) => {
  expect(messageOf(text(5), value)).toBe(message)
})

test('optional text may be empty, and is trimmed', () => {
  expect(optionalText(5).parse('  ')).toBe('')
  expect(optionalText(5).parse(' a b ')).toBe('a b')
})

test('a secret is taken as it is', () => {
  expect(secretText(8).parse(' \u00e9 ')).toBe(' \u00e9 ')
  expect(messageOf(secretText(8), '')).toBe('This field may not be blank.')
  expect(messageOf(secretText(8), '123456789')).toBe(
    'Ensure this field has no more than 8 characters.',
  )
})

test.each([
  [' Ada@Example.COM ', 'ada@example.com'],
  ['ａｄａ＠ｅｘａｍｐｌｅ．ｃｏｍ', 'ada@example.com'],
  ["o'neil+films@mail.example.co.uk", "o'neil+films@mail.example.co.uk"],
  ['a@example.xn--p1ai', 'a@example.xn--p1ai'],
])('%j is the address %s', (value, address) => {
  expect(email().parse(value)).toBe(address)
})

test.each([
  'a',
  'a@b',
  '@example.com',
  'a@',
  '.a@example.com',
  'a.@example.com',
  'a..b@example.com',
  'a b@example.com',
  'a@example..com',
  'a@-example.com',
  'a@example-.com',
  'a@example.com.',
  'a@b@example.com',
  'a@example.com,b@example.com',
  'a@example.com\nb',
  'Ada <a@example.com>',
  '"a b"@example.com',
  'a@[127.0.0.1]',
  'a@exa\u0301mple.com',
])('%j is no address', (value) => {
  expect(messageOf(email(), value)).toBe('Enter a valid email address.')
})

test('an address is at most 254 characters long', () => {
  const domain = `${'a'.repeat(60)}.example.com`
  const fitting = `${'a'.repeat(254 - domain.length - 1)}@${domain}`
  expect(email().parse(fitting)).toBe(fitting)
  expect(messageOf(email(), `a${fitting}`)).toBe(
    'Ensure this field has no more than 254 characters.',
  )
})

test('normalising an address twice changes nothing, and spaces or case never make a second one', () => {
  fc.assert(
    fc.property(fc.emailAddress(), (address) => {
      const one = normaliseEmail(address)
      expect(normaliseEmail(one)).toBe(one)
      expect(normaliseEmail(`  ${address.toUpperCase()}\n`)).toBe(one)
    }),
  )
})

test('no value whatever makes a field throw', () => {
  fc.assert(
    fc.property(fc.anything(), (value) => {
      for (const schema of [email(), text(5), optionalText(5), secretText(5), flag()]) {
        expect(() => schema.safeParse(value)).not.toThrow()
      }
    }),
  )
})

test.each([['true'], [1], [0], [[]], ['']])('%j is no boolean', (value) => {
  expect(messageOf(flag(), value)).toBe('Must be a valid boolean.')
})
