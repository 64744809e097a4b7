import { S3Client } from '@aws-sdk/client-s3'
import type { S3Settings } from '../../config/s3-settings.ts'
import { AppError } from '../../errors.ts'

const CONNECT_MS = 5000
const ATTEMPTS = 5
/** Each of them takes its time, and somebody may be waiting for an answer. */
const SILENT_ATTEMPTS = 2

/** A client of one bucket's service; whoever makes it destroys it. */
export function createS3Client(settings: S3Settings): S3Client {
  const client = new S3Client({
    region: settings.region,
    forcePathStyle: settings.isPathStyle,
    ...(settings.endpoint !== null && { endpoint: settings.endpoint }),
    ...(settings.credentials && { credentials: settings.credentials }),
    // Stores other than AWS's refuse or ignore the checksums that the SDK adds by itself.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: ATTEMPTS,
    requestHandler: { connectionTimeout: CONNECT_MS, socketTimeout: settings.silenceMs },
    logger: SILENT,
  })
  giveUpOnSilence(client)
  return client
}

/** Within the SDK's loop of attempts, which begins anew with every request. */
function giveUpOnSilence({ middlewareStack }: S3Client): void {
  middlewareStack.add(
    (next) => {
      let silences = 0
      return async (args) => {
        try {
          return await next(args)
        } catch (error) {
          if (!isSilence(error)) throw error
          silences += 1
          if (silences < SILENT_ATTEMPTS) throw error
          // The error itself must not be its cause: the SDK would look there, and try again.
          throw new AppError('unavailable', `S3 cannot be used now: ${error.message}`)
        }
      }
    },
    { step: 'finalizeRequest', priority: 'low', name: 'giveUpOnSilence' },
  )
}

/** The SDK gives resets the name of timeouts; those have a code. */
function isSilence(error: unknown): error is Error {
  const { name, code } = error as Error & { code?: string }
  return name === 'TimeoutError' && (code === undefined || code === 'ETIMEDOUT')
}

const nothing = (): void => {}
/** Errors are told once, by us. */
const SILENT = { debug: nothing, info: nothing, warn: nothing, error: nothing }
