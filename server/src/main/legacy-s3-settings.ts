import { S3_ENV, s3Settings, type S3Settings } from '../config/s3-settings.ts'
import { AppError } from '../errors.ts'

const NAMES = [
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_S3_REGION_NAME',
  'AWS_S3_ENDPOINT_URL',
  'AWS_S3_ADDRESSING_STYLE',
] as const

/**
 * The bucket of the original, from `s3://bucket/folder` and the variables LEGACY_AWS_…; where none of these is set, from
 * AWS_…, as the same account may have both.
 */
export function legacyS3Settings(
  url: string,
  variables: Record<string, string | undefined>,
): S3Settings {
  const [, bucket, folder = ''] = /^s3:\/\/([^/]+)(?:\/(.*))?$/.exec(url) ?? []
  if (bucket === undefined || !S3_ENV.AWS_STORAGE_BUCKET_NAME.safeParse(bucket).success) {
    throw new AppError('invalid', '--media-s3 is a bucket and its folder: s3://bucket/media.')
  }
  const isSeparate = NAMES.some((name) => isSet(variables[`LEGACY_${name}`]))
  const env = read(isSeparate ? 'LEGACY_' : '', variables)
  if (env['AWS_S3_REGION_NAME'] === undefined && env['AWS_S3_ENDPOINT_URL'] === undefined) {
    throw new AppError(
      'misconfigured',
      'It is not known where the bucket of the original is: set LEGACY_AWS_S3_REGION_NAME, or LEGACY_AWS_S3_ENDPOINT_URL if it is not at AWS.',
    )
  }
  const settings = s3Settings({
    ...env,
    ...timeoutOf(variables),
    ...{ USE_S3_MEDIA: true, AWS_STORAGE_BUCKET_NAME: bucket },
  })
  if (settings === null) throw new Error('a bucket without settings')
  const prefix = folder.replaceAll(/^\/+|\/+$/g, '')
  return { ...settings, prefix: prefix === '' ? '' : `${prefix}/` }
}

/** What is no time was refused with the other settings. */
function timeoutOf(variables: Record<string, string | undefined>): { S3_TIMEOUT?: number } {
  const { data } = S3_ENV.S3_TIMEOUT.safeParse(variables['S3_TIMEOUT']?.trim())
  return data === undefined ? {} : { S3_TIMEOUT: data }
}

function read(
  prefix: string,
  variables: Record<string, string | undefined>,
): Record<string, string> {
  const env: Record<string, string> = {}
  for (const name of NAMES) {
    const value = variables[`${prefix}${name}`]?.trim()
    if (!isSet(value)) continue
    const parsed = S3_ENV[name].safeParse(value)
    if (!parsed.success) {
      const [issue] = parsed.error.issues
      throw new AppError(
        'misconfigured',
        `${prefix}${name}: its value is not understood; ${issue?.message}.`,
      )
    }
    env[name] = parsed.data
  }
  return env
}

function isSet(value: string | undefined): value is string {
  return value !== undefined && value.trim() !== ''
}
