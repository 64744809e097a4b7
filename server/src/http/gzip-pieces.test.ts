import { execFileSync } from 'node:child_process'
import { crc32, gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bytesOf, gzip, joinCrcs, joinPieces, toPiece } from './gzip-pieces.ts'

async function joined(texts: Buffer[]): Promise<Buffer> {
  async function* pieces() {
    for (const text of texts) yield await toPiece(text)
  }
  const chunks: Buffer[] = []
  for await (const chunk of joinPieces(pieces())) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const bytes = fc.uint8Array({ maxLength: 2000 }).map((array) => Buffer.from(array))

test('pieces make one gzip file, however they were cut', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(bytes, { maxLength: 5 }), async (texts) => {
      expect(gunzipSync(await joined(texts))).toEqual(Buffer.concat(texts))
    }),
  )
})

test('what is compressed at the same time does not mix', async () => {
  const texts = Array.from({ length: 20 }, (_, at) => Buffer.from(`${at} `.repeat(at * 5000)))
  const files = await Promise.all(texts.map((text) => gzip(text)))
  expect(files.map((file) => gunzipSync(file))).toEqual(texts)
})

test('gzip itself finds no fault in it', async () => {
  const texts = ['[', '{"a":1}', ',', 'x'.repeat(100_000), ']'].map((text) => Buffer.from(text))
  const read = execFileSync('gzip', ['-dc'], { input: await joined(texts) })
  expect(read).toEqual(Buffer.concat(texts))
})

test('a piece gives back its bytes', async () => {
  const text = Buffer.from('so many words, '.repeat(1000))
  const piece = await toPiece(text)
  expect(piece.deflated.length).toBeLessThan(200)
  expect(await bytesOf(piece)).toEqual(text)
})

test('the sum of two texts follows from the sums of both', () => {
  fc.assert(
    fc.property(bytes, bytes, (one, other) => {
      expect(joinCrcs(crc32(one), crc32(other), other.length)).toBe(
        crc32(Buffer.concat([one, other])),
      )
    }),
  )
})
