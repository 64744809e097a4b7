import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { s3Settings, type S3Settings } from '../../config/s3-settings.ts'
import { openLegacyBucket } from './legacy-bucket.ts'

let status: number
const server = createServer((_request, response) => {
  response.writeHead(status, { 'content-type': 'application/xml' }).end()
})
beforeAll(() => new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve)))
afterAll(() => void server.close())

function settingsOf(): S3Settings {
  const { port } = server.address() as AddressInfo
  return s3Settings({
    ...{ USE_S3_MEDIA: true, AWS_STORAGE_BUCKET_NAME: 'films' },
    ...{ AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' },
    AWS_S3_ENDPOINT_URL: `http://127.0.0.1:${port}`,
  })!
}

test.each([
  [503, 'unavailable', /does not answer as it should \(.*503\): run this again/],
  [403, 'misconfigured', /cannot be read \(.*\): check --media-s3 and the key/],
])('%d is told as what it is', { timeout: 30_000 }, async (answer, code, sentence) => {
  status = answer
  const opening = openLegacyBucket({ settings: settingsOf(), isSigned: true, url: '/media/' })
  await expect(opening).rejects.toMatchObject({ code, message: expect.stringMatching(sentence) })
})
