import { AppError } from '../../errors.ts'

/** What failures of S3 mean to us, and what to change. */

interface S3Failure {
  name?: string
  message?: string
  code?: string
  $metadata?: { httpStatusCode?: number; requestId?: string }
  $response?: { headers?: Record<string, string> }
}

const CREDENTIALS =
  'S3 does not accept our key: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the role of this machine.'
const REGION =
  'The bucket is not in that region, or not at that endpoint: check AWS_S3_REGION_NAME and AWS_S3_ENDPOINT_URL.'
const ADDRESS =
  'What answers is no S3 service: check AWS_S3_ENDPOINT_URL and AWS_S3_ADDRESSING_STYLE.'

const SENTENCES: Record<string, string> = {
  NoSuchBucket: 'There is no such bucket: make it, or change AWS_STORAGE_BUCKET_NAME.',
  InvalidBucketName: 'There can be no bucket of that name: change AWS_STORAGE_BUCKET_NAME.',
  AccessDenied:
    'S3 does not let us: allow s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload and s3:ListBucket on the bucket.',
  InvalidAccessKeyId: CREDENTIALS,
  SignatureDoesNotMatch: CREDENTIALS,
  InvalidToken: CREDENTIALS,
  InvalidClientTokenId: CREDENTIALS,
  ExpiredToken: 'The key for S3 has expired: give this machine a new one.',
  CredentialsProviderError:
    'There is no key for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give this machine a role.',
  RequestTimeTooSkewed: 'Our clock differs from that of S3: keep it right with NTP.',
  PermanentRedirect: REGION,
  AuthorizationHeaderMalformed: REGION,
  IllegalLocationConstraintException: REGION,
  MethodNotAllowed: ADDRESS,
  QuotaExceeded: 'The bucket is full: raise its quota.',
}

const ABSENT = new Set(['NoSuchKey', 'NoSuchUpload'])
const TRANSIENT =
  /^(ECONN|ENOTFOUND|EAI_AGAIN|EHOST|ENETUN|EPIPE|ETIMEDOUT|ECANCELED|EPROTO|HPE_|ERR_SSL|ERR_TLS|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/

/** An error of the SDK in our words; any other as it is. */
export function asS3Error(cause: unknown): unknown {
  const { name = '', code = '', $metadata } = cause as S3Failure
  const status = $metadata?.httpStatusCode
  const sentence = SENTENCES[name]
  if (sentence) return new AppError('misconfigured', sentence, { cause })
  if (ABSENT.has(name) || (status === 404 && isOfS3(cause as S3Failure))) {
    return new AppError('not_found', 'There is no such object.', { cause })
  }
  if (status === 404) return new AppError('misconfigured', ADDRESS, { cause })
  // A refused HEAD says nothing but its status.
  if (status === 401 || status === 403) {
    return new AppError('misconfigured', SENTENCES['AccessDenied'] as string, { cause })
  }
  if (status === 301 || status === 307) return new AppError('misconfigured', REGION, { cause })
  if (isNoS3(cause, status)) return new AppError('misconfigured', ADDRESS, { cause })
  if (status !== undefined || name === 'TimeoutError' || TRANSIENT.test(code)) {
    return new AppError('unavailable', `S3 cannot be used now: ${reasonOf(cause)}`, { cause })
  }
  return cause
}

/** What the SDK has no word for, such as every answer to HEAD, is told by its status. */
export function reasonOf(cause: unknown): string {
  const { name = '', message = '', code = '', $metadata } = cause as S3Failure
  const words = [code || name, message].filter((text) => !/^(Unknown(Error)?)?$/.test(text))
  const status = $metadata?.httpStatusCode
  if (words.length > 0) return words.join(' ')
  return status === undefined ? 'it gave no reason' : `HTTP ${status}`
}

/**
 * A proxy whose S3 is being restarted answers 404 as well, with a page for people. Taken for S3's own, it would say that
 * what was uploaded is lost.
 */
function isOfS3({ $metadata, $response }: S3Failure): boolean {
  const type = $response?.headers?.['content-type'] ?? ''
  return $metadata?.requestId !== undefined || !type.startsWith('text/')
}

/** The SDK could not read the answer, though it was no failure of the service. */
function isNoS3(cause: unknown, status: number | undefined): boolean {
  return cause instanceof SyntaxError && (status ?? 0) < 500
}

/** Throws the signal's reason, whatever failed, once it is aborted. */
export async function inOurWords<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await work()
  } catch (error) {
    signal?.throwIfAborted()
    throw asS3Error(error)
  }
}
