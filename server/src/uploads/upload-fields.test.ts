import { describe, expect, test } from 'vitest'
import type { AppError } from '../errors.ts'
import type { Library } from '../videos/library.ts'
import { readSha256, readVideoFields, shownFileName, titleOf } from './upload-fields.ts'

/** A library that knows one title, and makes it free by a number. */
const library = {
  isTitleTaken: (title: string) => Promise.resolve(title === 'Taken'),
  freeTitle: (title: string) => Promise.resolve(title === 'Taken' ? 'Taken (2)' : title),
} as Library

async function errorsOf(given: Record<string, string | undefined>): Promise<unknown> {
  const error = await readVideoFields(given, 'film.mp4', library).catch((each: unknown) => each)
  return (error as AppError).fields
}

describe('the title that a file name makes', () => {
  test.each([
    ['holiday_2024.final.mp4', 'holiday 2024 final'],
    ['film', 'film'],
    ['.mp4', 'mp4'],
    ['...', 'Untitled'],
    ['', 'Untitled'],
    ['  a   b .mov', 'a b'],
    ['a\0b\x1b[31m.mp4', 'a b [31m'],
    ['🎬'.repeat(300), '🎬'.repeat(240)],
    ['\ud800.mp4', '\ufffd'],
  ])('%j', (name, title) => {
    expect(titleOf(name)).toBe(title)
  })
})

describe('the file name that is shown', () => {
  test.each([
    ['film.mp4', 'film.mp4'],
    ['../../film.mp4', 'film.mp4'],
    ['C:\\films\\film.mp4', 'film.mp4'],
    ['a\0b\n.mp4', 'ab.mp4'],
    ['', 'unnamed'],
    ['folder/', 'unnamed'],
    [undefined, 'unnamed'],
    ['🎬'.repeat(300), '🎬'.repeat(255)],
  ])('%j', (name, shown) => {
    expect(shownFileName(name)).toBe(shown)
  })
})

describe('the fields of a video', () => {
  test('have defaults', async () => {
    expect(await readVideoFields({ title: ' A film ' }, undefined, library)).toEqual({
      title: 'A film',
      description: '',
      category: 'Other',
    })
  })

  test('may leave the title to the file, which never clashes', async () => {
    expect((await readVideoFields({}, 'Taken.mp4', library)).title).toBe('Taken (2)')
  })

  test('are refused together', async () => {
    expect(await errorsOf({ title: ' ', category: 'Cats', description: 'a\0' })).toEqual({
      title: ['This field may not be blank.'],
      category: ['"Cats" is not a valid choice.'],
      description: ['Null characters are not allowed.'],
    })
  })

  test('name a title that is taken', async () => {
    expect(await errorsOf({ title: ' Taken ' })).toEqual({
      title: ['Video with this title already exists.'],
    })
  })
})

describe('the promised checksum', () => {
  test('is 64 hexadecimal digits, in lower case', () => {
    expect(readSha256('AB'.repeat(32))).toBe('ab'.repeat(32))
  })

  test.each([undefined, null, ''])('may be absent: %j', (given) => {
    expect(readSha256(given)).toBeNull()
  })

  test.each(['abc', 'g'.repeat(64), 'a'.repeat(65), ` ${'a'.repeat(64)}`])('is not %j', (given) => {
    expect(() => readSha256(given)).toThrow('64 hexadecimal digits')
  })
})
