import { expect, test } from 'vitest'
import { indexedText, prefixesOf, wordOfCategory, wordsOf } from './search-words.ts'

test.each([
  ['Ärger in Köln!', ['arger', 'in', 'koln']],
  ['STRAẞE Straße strasse', ['strasse']],
  ['Ｆｕｌｌ ﬁlm ①', ['full', 'film', '1']],
  ['İstanbul ISTANBUL', ['istanbul']],
  ['ὈΔΥΣΣΕΎΣ Οδυσσεύς', ['οδυσσευσ']],
  ['Ærø Łódź', ['aero', 'lodz']],
  ['東京タワー x', ['東', '京', 'タ', 'ワ', 'ー', 'x']],
  ['under_score, back\\slash; 100%', ['under', 'score', 'back', 'slash', '100']],
  ['\u{E000}other 🎬 \0 "*:-()&|!', ['other']],
  ['', []],
])('the words of %j', (text, words) => {
  expect(wordsOf(text)).toEqual(words)
})

test('words are cut between characters', () => {
  expect(wordsOf('𝒳𐐷'.repeat(50))[0]?.isWellFormed()).toBe(true)
  expect([...(wordsOf('𐐷'.repeat(50))[0] ?? '')]).toHaveLength(40)
})

test('a category is a word that no text has', () => {
  const video = { title: 'A film', description: 'Of science.', category: 'Science fiction' }
  expect(indexedText(video)).toBe(' a film of science \u{E000}sciencefiction')
  expect(wordsOf(wordOfCategory('Drama'))).toEqual(['drama'])
})

test('of what is asked, what follows from the rest is left out', () => {
  expect(prefixesOf(undefined)).toBeNull()
  expect(prefixesOf('')).toBeNull()
  expect(prefixesOf('?!')).toEqual([])
  expect(prefixesOf('the therapist the')).toEqual(['therapist'])
  expect(prefixesOf('a bb ccc dddd e f g h i j k l')).toHaveLength(10)
})
