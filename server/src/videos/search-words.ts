/**
 * What is searched for, and in: words without case, accents and punctuation, the same on both engines because the
 * engines have no say in it. Chinese, Japanese, Thai and the like write no spaces: there each character is a word.
 */

const SPACELESS =
  '\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Thai}\\p{Script=Lao}\\p{Script=Khmer}\\p{Script=Myanmar}'
const WORDS = new RegExp(`[${SPACELESS}]|[[\\p{L}\\p{N}]--[${SPACELESS}]]+`, 'gv')

/** Letters that Unicode does not take apart, as people type them who have no such key. */
const PLAIN: Record<string, string> = {
  ς: 'σ',
  ø: 'o',
  ł: 'l',
  đ: 'd',
  ð: 'd',
  ħ: 'h',
  þ: 'th',
  æ: 'ae',
  œ: 'oe',
}
const NOT_PLAIN = new RegExp(`[${Object.keys(PLAIN).join('')}]`, 'g')

const LONGEST_WORD = 40

/** Each word once. */
export function wordsOf(text: string): string[] {
  const folded = text
    .normalize('NFKD')
    .replaceAll(/\p{M}+/gu, '')
    // By way of upper case, where ß is SS; ẞ has to be ß for that.
    .toLowerCase()
    .toUpperCase()
    .toLowerCase()
    .replaceAll(/\p{M}+/gu, '')
    .replaceAll(NOT_PLAIN, (letter) => PLAIN[letter] ?? letter)
  const words = folded.match(WORDS) ?? []
  return [...new Set(words.map((word) => [...word].slice(0, LONGEST_WORD).join('')))]
}

/** A category is one word, which no text has: the character is for private use. */
export function wordOfCategory(category: string): string {
  return `\u{E000}${wordsOf(category).join('')}`
}

/** A space before each word, so that a word begins where ` word` is. */
export function indexedText(video: {
  title: string
  description: string
  category: string
}): string {
  const words = wordsOf(`${video.title} ${video.description}`)
  return [...words, wordOfCategory(video.category)].map((word) => ` ${word}`).join('')
}

const MOST_WORDS = 10

/**
 * The beginnings of words that all have to be there; null where nothing is asked, none where nothing can be found. Of a
 * long sentence the longest words will do.
 */
export function prefixesOf(search: string | undefined): string[] | null {
  if (search === undefined || search === '') return null
  const words = wordsOf(search).toSorted((one, other) => other.length - one.length)
  const needed = words.filter(
    (word, at) => !words.slice(0, at).some((longer) => longer.startsWith(word)),
  )
  return needed.slice(0, MOST_WORDS)
}
