import fc from 'fast-check'

/** What nobody should send, and somebody will. */

const ODD_TEXTS = [
  '',
  ' ',
  '\0',
  'a\0b',
  '\ud800',
  '\u{1f3ac}'.repeat(300),
  '\u0301'.repeat(50),
  '\u202etxt.exe',
  '../../../../etc/passwd',
  '%00',
  '%2e%2e%2f',
  "' OR 1=1 --",
  '"; DROP TABLE users; --',
  '${7*7}<%= 7*7 %>{{7*7}}',
  '<script>alert(1)</script>',
  'a@example.com\r\nBcc: b@example.com',
  '__proto__',
  'constructor',
  'toString',
  'NaN',
  '-0',
  '1e400',
  '9007199254740993',
  '99999999999999999999',
  '-1',
  '0x10',
  '१',
  'true',
  'null',
  '[]',
  'a'.repeat(5000),
  'viewer@example.com',
  'admin@example.com',
  'Action',
  '720p',
]
export const ODD_NUMBERS = [
  0,
  -0,
  1,
  -1,
  1.5,
  2 ** 31,
  2 ** 53,
  -(2 ** 63),
  1e308,
  Number.MIN_VALUE,
]

export const text = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...ODD_TEXTS) },
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.emailAddress(),
  fc.nat(20).map(String),
)

export const anything = fc.oneof(
  text,
  fc.constantFrom<unknown>(...ODD_NUMBERS, true, false, null),
  fc.jsonValue({ maxDepth: 3 }),
  fc.array(fc.constantFrom<unknown>('a', 1, null, {}), { maxLength: 4 }),
)

/** Bytes that are nearly what was meant. */
export const spoil = (body: Buffer): fc.Arbitrary<Buffer> =>
  fc.oneof(
    { weight: 12, arbitrary: fc.constant(body) },
    fc.nat(body.length).map((at) => body.subarray(0, at)),
    fc
      .tuple(fc.nat(Math.max(0, body.length - 1)), fc.nat(255))
      .map(([at, byte]) =>
        Buffer.concat([body.subarray(0, at), Buffer.of(byte), body.subarray(at)]),
      ),
    fc.constant(Buffer.concat([Buffer.of(0xef, 0xbb, 0xbf), body])),
    fc.constant(Buffer.from(body.toString(), 'utf16le')),
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc.constantFrom(
      ...['', '[]', '"x"', 'null', '1', '{', '{"a":1}{}'].map((each) => Buffer.from(each)),
    ),
  )
