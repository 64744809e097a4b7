import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { GetObjectCommand, HeadObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { inOurWords } from './s3-errors.ts'

let answer: { status?: number; type?: string; body: string; requestId?: string }
const server = createServer((_request, response) => {
  const { status = 404, type, requestId, body } = answer
  response.writeHead(status, {
    ...(type && { 'content-type': type }),
    ...(requestId && { 'x-amz-request-id': requestId }),
  })
  response.end(body)
})
let client: S3Client
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  client = new S3Client({
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    region: 'us-east-1',
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId: 'key', secretAccessKey: 'secret' },
  })
})
afterAll(() => {
  client.destroy()
  server.close()
})

const AT = { Bucket: 'films', Key: 'film.mp4' }
const READS = {
  GET: () => client.send(new GetObjectCommand(AT)),
  HEAD: () => client.send(new HeadObjectCommand(AT)),
}

describe.each(['GET', 'HEAD'] as const)('a 404 that answers %s', (method) => {
  const code = async (): Promise<unknown> =>
    await inOurWords<unknown>(READS[method]).catch(
      (error: unknown) => (error as { code: unknown }).code,
    )

  test.each(['text/plain; charset=utf-8', 'text/html'])(
    'as %s is of a proxy, and says nothing about the object',
    async (type) => {
      answer = { type, body: '404 page not found' }
      expect(await code()).toBe('misconfigured')
    },
  )

  test.each([
    { type: 'application/xml', body: '<Error><Code>NoSuchKey</Code></Error>' },
    { body: '' },
    { type: 'text/plain', body: '', requestId: 'tx1' },
  ])('of S3 says that there is no such object: %o', async (ofS3) => {
    answer = ofS3
    expect(await code()).toBe('not_found')
  })
})

test.each([500, 503])('a HEAD that is answered %d tells that', async (status) => {
  answer = { status, body: '' }
  await expect(inOurWords<unknown>(READS.HEAD)).rejects.toMatchObject({
    code: 'unavailable',
    message: `S3 cannot be used now: HTTP ${status}`,
  })
})
