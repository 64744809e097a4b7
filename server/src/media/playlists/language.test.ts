import { expect, test } from 'vitest'
import { languageTag } from './language.ts'

test.each([
  ['eng', 'en'],
  ['ger', 'de'],
  ['deu', 'de'],
  ['fre', 'fr'],
  ['fra', 'fr'],
  ['chi', 'zh'],
  ['de', 'de'],
  ['EN-us', 'en-US'],
  ['pt_BR', 'pt-BR'],
  ['zh-hant-tw', 'zh-Hant-TW'],
  ['gsw', 'gsw'],
  ['qaa', 'qaa'],
  ['zxx', 'zxx'],
  [' eng ', 'en'],
  ['und', null],
  ['', null],
  ['English', null],
  ['no language', null],
  ['"\n#EXTM3U', null],
  [null, null],
])('%j is %j', (language, tag) => {
  expect(languageTag(language)).toBe(tag)
})
