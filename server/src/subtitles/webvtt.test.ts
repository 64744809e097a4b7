import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AppError } from '../errors.ts'
import { strictCues } from './strict-webvtt.fixture.ts'
import { cleanWebVtt, MAX_BYTES, toWebVtt } from './webvtt.ts'

const bytesOf = (text: string): Buffer => Buffer.from(text)

/** `seconds–seconds text` of each cue; what is no valid WebVTT throws. */
function cuesOf(text: string | Uint8Array): string[] {
  const vtt = toWebVtt(typeof text === 'string' ? bytesOf(text) : text)
  return strictCues(vtt).map(({ startTime, endTime, text }) => `${startTime}–${endTime} ${text}`)
}

/** What becomes of the text of one cue. */
const textOf = (text: string): string => {
  const vtt = toWebVtt(bytesOf(`1\n00:00:01,000 --> 00:00:09,000\n${text}\n`))
  strictCues(vtt)
  return vtt.split('\n').slice(3, -1).join('\n')
}

/** What becomes of the line of times. */
const timingOf = (line: string, text = 'x'): string =>
  toWebVtt(bytesOf(`${line}\n${text}`)).split('\n')[2] ?? ''

function refusalOf(bytes: Uint8Array): string {
  try {
    toWebVtt(bytes)
  } catch (error) {
    if (error instanceof AppError && error.code === 'invalid')
      return error.fields?.['file']?.[0] ?? ''
    throw error
  }
  throw new Error('it was taken')
}

test('SubRip becomes WebVTT', () => {
  const srt =
    '1\r\n00:00:01,000 --> 00:00:02,500\r\nHello,\r\nworld\r\n\r\n2\r\n01:00:03,000 --> 01:00:04,000\r\n<i>Bye</i>\r\n'
  expect(toWebVtt(bytesOf(srt))).toBe(
    'WEBVTT\n\n00:00:01.000 --> 00:00:02.500\nHello,\nworld\n\n01:00:03.000 --> 01:00:04.000\n<i>Bye</i>\n',
  )
})

test('WebVTT keeps its cues and their settings; styles, regions, notes and names go', () => {
  const vtt = [
    'WEBVTT - a title',
    'Kind: captions\n',
    'STYLE\n::cue { background: url(https://evil.example/) }\n',
    'REGION\nid:fred\nwidth:40%\n',
    'NOTE a note\nwith lines\n',
    'intro\n00:01.000 --> 00:02.000 line:0 position:20%,line-left align:middle region:fred',
    '<v.loud Mary>Hello <c.yellow.bg_blue>there</c>\n',
    '00:03.000 --> 00:04.000 line:-1 line:5 size:50% vertical:rl align:nowhere size:200%',
    'Next',
  ].join('\n')
  expect(toWebVtt(bytesOf(vtt))).toBe(
    [
      'WEBVTT\n',
      '00:00:01.000 --> 00:00:02.000 line:0 position:20%,line-left align:center',
      '<v.loud Mary>Hello <c.yellow.bg_blue>there</c></v>\n',
      '00:00:03.000 --> 00:00:04.000 line:-1 size:50% vertical:rl',
      'Next\n',
    ].join('\n'),
  )
})

test('what is clean stays as it is', () => {
  const once = toWebVtt(bytesOf('00:01 --> 00:02\n<v Tom & Jerry>a &lt; b &amp; <b>c</b> 😀'))
  expect(toWebVtt(bytesOf(once))).toBe(once)
})

describe('encodings', () => {
  const srt = '00:00:01,000 --> 00:00:02,000\nÄrger – „café“ €'
  const utf16 = Buffer.from(`\uFEFF${srt}`, 'utf16le')
  test.each([
    ['UTF-8', bytesOf(srt)],
    ['UTF-8 with a mark', bytesOf(`\uFEFF${srt}`)],
    ['UTF-8 with two marks', bytesOf(`\uFEFF\uFEFF${srt}`)],
    ['UTF-16 LE', utf16],
    ['UTF-16 BE', Buffer.from(utf16).swap16()],
    [
      'windows-1252',
      Buffer.from(
        srt.replace('–', '\x96').replace('„', '\x84').replace('“', '\x93').replace('€', '\x80'),
        'latin1',
      ),
    ],
  ])('%s', (_name, bytes) => {
    expect(cuesOf(bytes)).toEqual(['1–2 Ärger – „café“ €'])
  })
})

describe('times', () => {
  test.each([
    ['00:00:01,000 --> 00:00:02,000', '00:00:01.000 --> 00:00:02.000'],
    ['00:00:01.000 --> 00:00:02.000', '00:00:01.000 --> 00:00:02.000'],
    ['  0:0:1,5-->0:0:2,25  ', '00:00:01.500 --> 00:00:02.250'],
    ['01:02,003 -> 01:03', '00:01:02.003 --> 00:01:03.000'],
    ['00:00:01:000 --> 00:00:02:000', '00:00:01.000 --> 00:00:02.000'],
    ['00:00:01, 000 --> 00:00:02, 000 X1:100 X2:200', '00:00:01.000 --> 00:00:02.000'],
    ['00:00:01,0009999 --> 99:59:59,999', '00:00:01.000 --> 99:59:59.999'],
    ['-00:00:01,000 --> 00:00:02,000', '00:00:00.000 --> 00:00:02.000'],
    ['00:90:00,000 --> 00:91:00,000', '01:30:00.000 --> 01:31:00.000'],
  ])('%s', (given, clean) => {
    expect(timingOf(given)).toBe(clean)
  })

  test('cues are put in order, may overlap, and must last', () => {
    const srt = [
      '1\n00:00:05,000 --> 00:00:06,000\nlast\n',
      '2\n00:00:01,000 --> 00:00:04,000\nfirst\n',
      '3\n00:00:02,000 --> 00:00:02,000\nno time\n',
      '4\n00:00:03,000 --> 00:00:02,000\nbackwards\n',
      '5\n-00:00:03,000 --> -00:00:02,000\nbefore the film\n',
      '6\n00:00:01,000 --> 00:00:03,000\noverlapping\n',
    ].join('\n')
    expect(cuesOf(srt)).toEqual(['1–4 first', '1–3 overlapping', '5–6 last'])
  })
})

test('counters and blank lines may be missing or too many', () => {
  const srt = [
    ...['00:01 --> 00:02', 'one', '00:02 --> 00:03', '1984', '3', '00:03 --> 00:04', 'three'],
    ...['4', '00:04 --> 00:05', '', 'four', '', 'goes on', '', '', '00:05 --> 00:06', '5'],
    ...['00:06 --> 00:07', '   ', '7', '00:07 --> 00:08', 'seven'],
  ].join('\n')
  expect(cuesOf(srt)).toEqual([
    '1–2 one',
    '2–3 1984',
    '3–4 three',
    '4–5 four\ngoes on',
    '5–6 5',
    '7–8 seven',
  ])
})

describe('text', () => {
  test.each([
    ['<b>a</b> <i>b</i> <u>c</u>', '<b>a</b> <i>b</i> <u>c</u>'],
    ['<B>a</B>', '<b>a</b>'],
    ['<i>a', '<i>a</i>'],
    ['a</i>', 'a'],
    ['<b><i>a</b>b</i>', '<b><i>a</i></b>b'],
    ['<font color="#ff0000">red</font> <s>x</s> <i/>y', 'red x y'],
    ['a<br>b<BR />c', 'a\nb\nc'],
    ['<script>alert(1)</script>', 'alert(1)'],
    ['<ruby>漢<rt>かん</rt></ruby>', '<ruby>漢<rt>かん</rt></ruby>'],
    ['<rt>a</rt>', 'a'],
    ['<lang en-GB>a</lang> <lang "x">b</lang> <lang>c</lang>', '<lang en-GB>a</lang> b c'],
    ['<v>a</v> <v Tom><v Mary>b', 'a <v Tom>b</v>'],
    ['<v Tom & "Jerry" -->b', '<v Tom &amp; "Jerry">b</v>'],
    ['<v a -- ->b', '<v a>b</v>'],
    ['<c.a--.b.-.c-d>x</c>', '<c.b.c-d>x</c>'],
    ['a <00:00:02.000>b <00:00:01.500>c <00:00:09.000>d', 'a <00:00:02.000>b c d'],
    ['I <3 you & me', 'I &lt;3 you &amp; me'],
    ['1 < 2 > 0', '1 &lt; 2 &gt; 0'],
    ['a --> b', 'a --&gt; b'],
    ['x\n12 --> 13\ny', 'x\n12 --&gt; 13\ny'],
    ['&amp; &lt;b&gt; &quot;&#39;&#x41; &unknown; &', '&amp; &lt;b&gt; "\'A &amp;unknown; &amp;'],
    ['a&#10;&#10;00:01 --&gt; 00:02&#0;', 'a\uFFFD\uFFFD00:01 --&gt; 00:02\uFFFD'],
    [String.raw`{\an8}{\fad(1,2)}top {\i1}a{\i0} {kept}`, 'top <i>a</i> {kept}'],
    ['a\0b\u0007c\td', 'a b c d'],
    ['a\n   \nb', 'a\nb'],
    ['NOTE\nSTYLE', 'NOTE\nSTYLE'],
  ])('%j', (given, clean) => {
    expect(textOf(given)).toBe(clean)
  })

  test('tags are nested ten deep at most', () => {
    expect(textOf(`${'<b>'.repeat(5000)}a`)).toBe(`${'<b>'.repeat(10)}a${'</b>'.repeat(10)}`)
  })

  test('what would not be seen is left out', () => {
    const srt = '00:01 --> 00:02\n<b> </b>\n\n00:03 --> 00:04\nseen\n\n00:05 --> 00:06\n&nbsp;'
    expect(cuesOf(srt)).toEqual(['3–4 seen'])
  })

  test.each([7, 8, 9])(String.raw`{\an%i} puts a cue to the top, unless it says where`, (place) => {
    const text = `{\\an${place}}x`
    expect(timingOf('00:01 --> 00:02', text)).toMatch(/ line:0$/)
    expect(timingOf('00:01 --> 00:02 line:50%', text)).toMatch(/ line:50%$/)
    expect(timingOf('00:01 --> 00:02', String.raw`{\an2}x`)).toMatch(/000$/)
  })
})

describe('refused, with a sentence', () => {
  test.each([
    ['nothing', ''],
    ['text without times', 'Once upon a time'],
    ['a header alone', 'WEBVTT\n\n'],
    ['cues without text', '1\n00:00:01,000 --> 00:00:02,000\n\n'],
    ['a picture', '\x89PNG\r\n\x1A\n\0\0\0\rIHDR'],
  ])('%s', (_name, text) => {
    expect(refusalOf(Buffer.from(text, 'latin1'))).toMatch(/no subtitles: .+\.$/)
  })

  test('more than 2 MB', () => {
    expect(refusalOf(Buffer.alloc(MAX_BYTES + 1, 'x'))).toContain('larger than 2 MB')
  })

  test('more than 20,000 cues', () => {
    const cue = '00:01 --> 00:02\nx\n\n'
    expect(cuesOf(cue.repeat(20_000))).toHaveLength(20_000)
    expect(refusalOf(bytesOf(cue.repeat(20_001)))).toContain('20,000')
  })
})

test('what a film brings along is refused without a word', () => {
  expect(cleanWebVtt(bytesOf('WEBVTT\n\n00:01.000 --> 00:02.000\nx'))).toMatch(/^WEBVTT\n/)
  expect(cleanWebVtt(bytesOf('WEBVTT\n\n'))).toBeNull()
  expect(cleanWebVtt(Buffer.alloc(MAX_BYTES + 1))).toBeNull()
})

describe('whatever comes in, valid WebVTT or a refusal comes out', () => {
  const isGood = (bytes: Uint8Array): boolean => {
    const vtt = cleanWebVtt(bytes)
    if (vtt === null) return true
    const { length } = strictCues(vtt)
    return length > 0 && vtt.split('-->').length === length + 1
  }

  test('bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
        expect(isGood(bytes)).toBe(true)
      }),
    )
  })

  test('bytes in a cue', () => {
    const header = bytesOf('00:01 --> 00:02\n')
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => {
        expect(isGood(Buffer.concat([header, bytes]))).toBe(true)
      }),
    )
  })

  const PIECES = [
    ...[
      '\n',
      '\r\n',
      '\r',
      '\n\n',
      ' ',
      '\t',
      '\0',
      '\u2028',
      '\uFEFF',
      '-->',
      '->',
      '--',
      '-',
      '>',
    ],
    ...[
      '<',
      '</',
      '<b>',
      '</b>',
      '<i>',
      '</i>',
      '<v Tom>',
      '<v ',
      '</v>',
      '<ruby>',
      '<rt>',
      '</rt>',
    ],
    ...[
      '</ruby>',
      '<lang en>',
      '<lang ',
      '<c.a',
      '<c.a--',
      '<00:00:01.500>',
      '<00:01.200>',
      '<br>',
    ],
    ...['&', '&amp;', '&#10;', '&#x0a;', '&gt;', '&lt;', ';', '&#55296;', '&#9999999;', '.', ':'],
    ...['00:00:01,000 --> 00:00:02,000', '00:01.000 --> 00:03.000 ', '00:02 --> 00:01', 'line:0'],
    ...[
      'align:start',
      'region:x',
      'position:1000%',
      'line:-5%',
      'size:100.5%',
      ':',
      '1',
      '22',
      'x',
    ],
    ...[
      'WEBVTT',
      'NOTE',
      'STYLE',
      'REGION',
      String.raw`{\an8}`,
      String.raw`{\i1}`,
      '{\\',
      '}',
      '😀',
    ],
  ]
  test('pieces of subtitles in any order', () => {
    const pieces = fc.array(fc.constantFrom(...PIECES), { maxLength: 60 })
    const start = fc.constantFrom('', 'WEBVTT\n\n', '00:00:01,000 --> 00:00:02,000\n')
    fc.assert(
      fc.property(start, pieces, (first, rest) => {
        expect(isGood(bytesOf(first + rest.join('')))).toBe(true)
      }),
      { numRuns: 3000 },
    )
  })

  test.each([
    ['spaces', ' '],
    ['opening brackets', '<'],
    ['ampersands', '&'],
    ['tags', '<b>'],
    ['closing tags', '</b>'],
    ['classes', '<c' + '.a'.repeat(1000) + '>'],
    ['digits', '1'],
    ['dashes', '-'],
    ['arrows', '00:00:01,000 -->'],
    ['arrows on lines', '-->\n'],
    ['overrides', String.raw`{\an8`],
    ['voices', '<v '],
    ['references', '&#'],
    ['lines', '\n'],
  ])('two megabytes of %s take no long time', (_name, piece) => {
    const start = bytesOf('00:00:01,000 --> 00:00:02,000\nx')
    const bytes = Buffer.concat([start, Buffer.alloc(MAX_BYTES - start.length, piece)])
    const before = performance.now()
    cleanWebVtt(bytes)
    expect(performance.now() - before).toBeLessThan(5000)
  })
})
