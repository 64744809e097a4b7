import { expect, test } from 'vitest'
import { onOneLine } from './report.ts'

test('what a title or the name of a file says stays on its line', () => {
  expect(onOneLine('video 1 (Film\nleft out: all\r\u001b[2J\u2028): gone')).toBe(
    String.raw`video 1 (Film\u000aleft out: all\u000d\u001b[2J\u2028): gone`,
  )
  expect(onOneLine('“Über den Wolken” 🎬')).toBe('“Über den Wolken” 🎬')
})
