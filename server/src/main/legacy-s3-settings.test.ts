import { expect, test } from 'vitest'
import { legacyS3Settings } from './legacy-s3-settings.ts'

test('the bucket of the original may be silent for S3_TIMEOUT as well', () => {
  const env = { LEGACY_AWS_S3_REGION_NAME: 'eu-central-1' }
  expect(legacyS3Settings('s3://films/media', env)).toMatchObject({ silenceMs: 20_000 })
  for (const S3_TIMEOUT of ['3', ' 3 ']) {
    const settings = legacyS3Settings('s3://films/media', { ...env, S3_TIMEOUT })
    expect(settings).toMatchObject({ silenceMs: 3000 })
  }
})
