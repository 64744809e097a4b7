import { PutBucketPolicyCommand } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasS3, startS3, type S3 } from '../harness/s3.ts'
import { temporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts'
import { outputs, type Outcome } from './commands.ts'

describe.skipIf(!hasS3)('with a bucket', () => {
  let s3: S3
  let folder: TemporaryFolder
  beforeAll(async () => {
    s3 = await startS3()
    folder = await temporaryFolder()
  })
  afterAll(async () => {
    await s3.stop()
    await folder.remove()
  })

  const run = (command: string, env: Record<string, string>): Promise<Outcome> =>
    outputs([command], {
      DATA_DIR: folder.path,
      CORS_ALLOWED_ORIGINS: 'https://films.example.com',
      ...env,
    })
  const storageLines = ({ stdout }: Outcome): string[] =>
    stdout.split('\n').filter((line) => line.includes(' storage '))

  async function anybodyMayRead(bucket: string): Promise<void> {
    const Statement = [
      {
        Effect: 'Allow',
        Principal: '*',
        Action: 's3:GetObject',
        Resource: `arn:aws:s3:::${bucket}/media/*`,
      },
    ]
    const Policy = JSON.stringify({ Version: '2012-10-17', Statement })
    await s3.client.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }))
  }

  test('`s3-cors` lets pages in, and `doctor` tells whether it has', async () => {
    const env = await s3.env()
    const before = await run('doctor', env)
    expect(storageLines(before)).toEqual([
      expect.stringMatching(/^ok .* can be written, and media be fetched from it$/),
      expect.stringMatching(/^warning .* http:\/\/127\.0\.0\.1:8000 .*videoflix s3-cors/),
      expect.stringMatching(/^warning .* https:\/\/films\.example\.com /),
    ])
    const made = await run('s3-cors', env)
    expect(made).toMatchObject({ code: 0, stdout: expect.stringContaining('films.example.com') })
    expect(storageLines(await run('doctor', env))).toHaveLength(1)
  })

  test.each<[string, Record<string, string>, RegExp]>([
    ['a wrong key', { AWS_ACCESS_KEY_ID: 'nobody' }, /AWS_ACCESS_KEY_ID/],
    ['a wrong bucket', { AWS_STORAGE_BUCKET_NAME: 'nowhere' }, /AWS_STORAGE_BUCKET_NAME/],
    ['a wrong endpoint', { AWS_S3_ENDPOINT_URL: 'http://127.0.0.1:9' }, /ECONNREFUSED/],
  ])('`doctor` tells of %s', async (_name, wrong, sentence) => {
    const { code, stdout } = await run('doctor', { ...(await s3.env()), ...wrong })
    expect(code).toBe(1)
    expect(stdout).toMatch(sentence)
    expect(stdout).toMatch(/^PROBLEM +storage/m)
  })

  test('`doctor` tells when anybody can read what is to be signed, or nobody what is not', async () => {
    const env = await s3.env()
    const plain = { ...env, AWS_S3_QUERYSTRING_AUTH: 'False' }
    expect(storageLines(await run('doctor', plain))[0]).toMatch(
      /PROBLEM .* let anybody read media\//,
    )
    await anybodyMayRead(env['AWS_STORAGE_BUCKET_NAME'] ?? '')
    expect(storageLines(await run('doctor', env))[0]).toMatch(/PROBLEM .* make the bucket private/)
    expect(storageLines(await run('doctor', plain))[0]).toMatch(/^ok/)
  })

  test('`s3-cors` without a bucket says so', async () => {
    const { code, stderr } = await run('s3-cors', {})
    expect([code, stderr]).toEqual([1, 'videoflix: There is no bucket: set USE_S3_MEDIA=True.\n'])
  })
})
