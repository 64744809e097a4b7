import { GetObjectCommand, UploadPartCommand } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { S3Settings } from '../../config/s3-settings.ts'
import { createS3Client } from './s3-client.ts'
import { createS3Urls, type S3Credentials } from './s3-presign.ts'

const AWS: S3Settings = {
  bucket: 'films',
  region: 'eu-central-1',
  endpoint: null,
  isPathStyle: false,
  credentials: { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'of/an+example' },
  prefix: '',
  signsUrls: true,
  cacheBytes: 0,
  silenceMs: 20_000,
}
const EXPIRES = Date.parse('2026-06-19T12:00:00Z') / 1000
const LIFE = 7 * 86_400
const SIGNED_AT = new Date((EXPIRES - LIFE) * 1000)

const addresses: [string, Partial<S3Settings>][] = [
  ['AWS', {}],
  ['AWS, by path', { isPathStyle: true }],
  ['AWS in China', { region: 'cn-north-1' }],
  ['a store of one’s own', { endpoint: 'http://127.0.0.1:9000', isPathStyle: true }],
  ['a store behind a path', { endpoint: 'https://example.com/s3', isPathStyle: true }],
  ['a store with a host for each bucket', { endpoint: 'https://s3.example.com:8443' }],
]

const expected = (settings: S3Settings, token?: string) => {
  const credentials = {
    ...settings.credentials!,
    ...(token !== undefined && { sessionToken: token }),
  }
  return { client: createS3Client({ ...settings, credentials }), credentials }
}

describe.each(addresses)('for %s', (_name, given) => {
  const settings = { ...AWS, ...given }
  const urls = createS3Urls({ settings, credentials: () => settings.credentials! })
  const { client } = expected(settings)

  test('reading is signed as the SDK signs it', async () => {
    for (const [Key, ResponseContentType] of [
      ['media/videos/7/9-1-1/720p.mp4', 'video/mp4'],
      ['media/videos/7/subtitles/a_b-c.vtt', 'text/vtt; charset=utf-8'],
      ['x', '!\'()*~ "ä&=+/'],
    ] as const) {
      const command = new GetObjectCommand({ Bucket: 'films', Key, ResponseContentType })
      const options = { expiresIn: LIFE, signingDate: SIGNED_AT }
      const query = { 'response-content-type': ResponseContentType, 'x-id': 'GetObject' }
      expect(urls.signed('GET', Key, EXPIRES, query)).toBe(
        await getSignedUrl(client, command, options),
      )
    }
  })

  test('sending a part is signed as the SDK signs it', async () => {
    const part = { Bucket: 'films', Key: 'originals/x', UploadId: '2~a/+=', PartNumber: 12 }
    const options = { expiresIn: LIFE, signingDate: SIGNED_AT }
    const query = { partNumber: '12', uploadId: '2~a/+=', 'x-id': 'UploadPart' }
    expect(urls.signed('PUT', 'originals/x', EXPIRES, query)).toBe(
      await getSignedUrl(client, new UploadPartCommand(part), options),
    )
  })
})

test('whatever the key and the credentials, it is what the SDK makes', async () => {
  const key = fc.stringMatching(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,20}(\/[A-Za-z0-9_-]{1,9}){0,3}$/)
  const secret = fc.string({ minLength: 1, maxLength: 60 })
  const minute = fc.integer({ min: 0, max: 60 * 24 * 400 })
  await fc.assert(
    fc.asyncProperty(
      key,
      secret,
      fc.option(secret),
      minute,
      async (Key, secret, token, minutes) => {
        const settings = { ...AWS, credentials: { accessKeyId: 'id', secretAccessKey: secret } }
        const { client, credentials } = expected(settings, token ?? undefined)
        const urls = createS3Urls({ settings, credentials: () => credentials })
        const expires = EXPIRES + minutes * 60
        const options = { expiresIn: LIFE, signingDate: new Date((expires - LIFE) * 1000) }
        const command = new GetObjectCommand({ Bucket: 'films', Key })
        expect(urls.signed('GET', Key, expires, { 'x-id': 'GetObject' })).toBe(
          await getSignedUrl(client, command, options),
        )
      },
    ),
    { numRuns: 50 },
  )
})

test('URLs repeat as long as their end is the same', () => {
  const urls = createS3Urls({ settings: AWS, credentials: () => AWS.credentials! })
  const url = (expires: number, query = {}): string => urls.signed('GET', 'media/a', expires, query)
  expect(url(EXPIRES)).toBe(url(EXPIRES))
  const others = [
    url(EXPIRES + 1),
    url(EXPIRES, { a: 'b c' }),
    url(EXPIRES, { 'a b': 'c' }),
    urls.signed('PUT', 'media/a', EXPIRES, {}),
    urls.signed('GET', 'media/b', EXPIRES, {}),
  ]
  expect(new Set([url(EXPIRES), ...others]).size).toBe(1 + others.length)
})

test('credentials that change are used at once', () => {
  let id = 'first'
  const credentials = (): S3Credentials => ({ accessKeyId: id, secretAccessKey: 's' })
  const urls = createS3Urls({ settings: AWS, credentials })
  expect(urls.signed('GET', 'a', EXPIRES, {})).toContain('Credential=first%2F')
  id = 'second'
  expect(urls.signed('GET', 'a', EXPIRES, {})).toContain('Credential=second%2F')
})

test('what anybody may read has a plain URL', () => {
  const urls = createS3Urls({ settings: AWS, credentials: () => AWS.credentials! })
  expect(urls.plain('media/a.mp4')).toBe('https://films.s3.eu-central-1.amazonaws.com/media/a.mp4')
})
