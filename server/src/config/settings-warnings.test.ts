import { expect, test } from 'vitest'
import { readSettings } from './settings.ts'

const SAFE = {
  SECRET_KEY: 'Y2xlYXJseSBub3QgYSB3ZWxsIGtub3duIGtleSwgb3IgaXMgaXQ/',
  BACKEND_ORIGIN: 'https://films.example.net',
}

test('cookies that also go over http are warned of where clients come by https', () => {
  expect(readSettings(SAFE, '/x').warnings).toEqual([])
  const { warnings } = readSettings({ ...SAFE, JWT_COOKIE_SECURE: 'False' }, '/x')
  expect(warnings).toHaveLength(1)
  expect(warnings[0]).toContain('JWT_COOKIE_SECURE')
})

test('a setting that no longer means anything is warned of', () => {
  const { warnings } = readSettings({ ...SAFE, CSRF_COOKIE_SECURE: 'True' }, '/x')
  expect(warnings).toHaveLength(1)
  expect(warnings[0]).toContain('CSRF_COOKIE_SECURE no longer means anything')
})
