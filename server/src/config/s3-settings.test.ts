import { expect, test } from 'vitest'
import { readSettings } from './settings.ts'
import type { S3Settings } from './s3-settings.ts'

const AWS = {
  USE_S3_MEDIA: 'True',
  AWS_STORAGE_BUCKET_NAME: 'films',
  AWS_S3_REGION_NAME: 'eu-central-1',
}
const MINIO = {
  USE_S3_MEDIA: '1',
  AWS_STORAGE_BUCKET_NAME: 'films',
  AWS_S3_ENDPOINT_URL: 'http://minio:9000/',
  AWS_ACCESS_KEY_ID: 'key',
  AWS_SECRET_ACCESS_KEY: 'a secret',
}

const s3Of = (variables: Record<string, string>): S3Settings | null =>
  readSettings(variables, '/x').settings.s3

test('without USE_S3_MEDIA there is no bucket, whatever else is set', () => {
  expect(s3Of({})).toBeNull()
  expect(s3Of({ ...AWS, USE_S3_MEDIA: 'False' })).toBeNull()
  expect(readSettings({ AWS_ACCESS_KEY_ID: 'key' }, '/x').warnings).toEqual([])
})

test('a bucket that is not in use is known, if all of it is named', () => {
  const unusedOf = (variables: Record<string, string>): S3Settings | null =>
    readSettings(variables, '/x').settings.unusedS3
  expect(unusedOf({})).toBeNull()
  expect(unusedOf({ ...AWS, MEDIA_URL_TTL: '604800', USE_S3_MEDIA: 'False' })).toEqual(s3Of(AWS))
  expect(unusedOf({ AWS_STORAGE_BUCKET_NAME: 'films' })).toBeNull()
  expect(readSettings(AWS, '/x').settings.unusedS3).toBeNull()
})

test('a bucket at AWS needs its region, and a role of the machine will do', () => {
  expect(s3Of(AWS)).toEqual({
    bucket: 'films',
    region: 'eu-central-1',
    endpoint: null,
    isPathStyle: false,
    credentials: null,
    prefix: '',
    signsUrls: true,
    cacheBytes: 20_000_000_000,
    silenceMs: 20_000,
  })
})

test('a bucket elsewhere is found by path, in a region that few ask for', () => {
  expect(s3Of(MINIO)).toMatchObject({
    region: 'us-east-1',
    endpoint: 'http://minio:9000',
    isPathStyle: true,
    credentials: { accessKeyId: 'key', secretAccessKey: 'a secret' },
  })
  expect(s3Of({ ...MINIO, AWS_S3_ADDRESSING_STYLE: 'virtual' })).toMatchObject({
    isPathStyle: false,
  })
})

test.each(['my.films', 'Films_1'])('%s can be no host name', (AWS_STORAGE_BUCKET_NAME) => {
  expect(s3Of({ ...AWS, AWS_STORAGE_BUCKET_NAME })).toMatchObject({ isPathStyle: true })
})

test.each([
  ['videoflix', 'videoflix/'],
  ['/a/b/', 'a/b/'],
  ['/', ''],
])('the folder %j is the prefix %j', (AWS_LOCATION, prefix) => {
  expect(s3Of({ ...AWS, AWS_LOCATION })).toMatchObject({ prefix })
})

test.each<[string, Record<string, string>, RegExp]>([
  [
    'no bucket',
    { ...AWS, AWS_STORAGE_BUCKET_NAME: '' },
    /^USE_S3_MEDIA is True, but AWS_STORAGE_BUCKET_NAME is missing/,
  ],
  ['no region', { ...AWS, AWS_S3_REGION_NAME: '' }, /AWS_S3_REGION_NAME is missing/],
  ['half a key', { ...AWS, AWS_ACCESS_KEY_ID: 'key' }, /only one is set/],
  ['the other half', { ...AWS, AWS_SECRET_ACCESS_KEY: 'secret' }, /only one is set/],
  [
    'an address that cannot have the bucket before it',
    { ...MINIO, AWS_S3_ENDPOINT_URL: 'http://10.0.0.1:9000', AWS_S3_ADDRESSING_STYLE: 'virtual' },
    /AWS_S3_ENDPOINT_URL is an IP address.*write path/,
  ],
  [
    'an endpoint without scheme',
    { ...MINIO, AWS_S3_ENDPOINT_URL: 'minio:9000' },
    /AWS_S3_ENDPOINT_URL: .+ full URL/,
  ],
  [
    'an endpoint with a key in it',
    { ...MINIO, AWS_S3_ENDPOINT_URL: 'http://a:b@minio' },
    /scheme and host/,
  ],
  [
    'a bucket with a slash',
    { ...AWS, AWS_STORAGE_BUCKET_NAME: 'a/b' },
    /AWS_STORAGE_BUCKET_NAME: .+ name of a bucket/,
  ],
  ['a folder above', { ...AWS, AWS_LOCATION: '../x' }, /AWS_LOCATION: .+ folders such as/],
  [
    'URLs that live longer than S3 signs for',
    { ...AWS, MEDIA_URL_TTL: '432001' },
    /^MEDIA_URL_TTL is more than S3/,
  ],
])('%s is refused', (_name, variables, sentence) => {
  expect(() => s3Of(variables)).toThrow(sentence)
})

test('URLs that are not signed may live for ever', () => {
  const env = { ...AWS, AWS_S3_QUERYSTRING_AUTH: 'False', MEDIA_URL_TTL: '4320010' }
  expect(s3Of(env)).toMatchObject({ signsUrls: false })
})
