import { S3Client } from '@aws-sdk/client-s3'
import type { S3Settings } from '../../config/s3-settings.ts'

const CONNECT_MS = 5000
/** Without a byte in either direction. */
const SILENCE_MS = 60_000
const ATTEMPTS = 5

/** A client of one bucket's service; whoever makes it destroys it. */
export function createS3Client(settings: S3Settings): S3Client {
  return new S3Client({
    region: settings.region,
    forcePathStyle: settings.isPathStyle,
    ...(settings.endpoint !== null && { endpoint: settings.endpoint }),
    ...(settings.credentials && { credentials: settings.credentials }),
    // Stores other than AWS's refuse or ignore the checksums that the SDK adds by itself.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: ATTEMPTS,
    requestHandler: { connectionTimeout: CONNECT_MS, socketTimeout: SILENCE_MS },
    logger: SILENT,
  })
}

const nothing = (): void => {}
/** Errors are told once, by us. */
const SILENT = { debug: nothing, info: nothing, warn: nothing, error: nothing }
