import { expect, test } from 'vitest'
import { namesTag } from './entity-tag.ts'

test.each([
  ['"a"', true],
  ['W/"a"', true],
  ['"b", "a"', true],
  ['"b",W/"a"', true],
  ['*', true],
  [' * ', true],
  ['"b"', false],
  ['a', false],
  ['"A"', false],
  ['', false],
  ['w/"a"', false],
])('%s', (header, expected) => {
  expect(namesTag(header, '"a"')).toBe(expected)
})
