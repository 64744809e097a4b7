import type { S3Client } from '@aws-sdk/client-s3'
import { asS3Error } from './s3-errors.ts'
import type { S3Credentials } from './s3-presign.ts'

const LOOK_AGAIN_MS = 60_000

/** The credentials of a client, at hand at any time; those of a role change every few hours. */
export interface CurrentCredentials {
  /** Throws `misconfigured` or `unavailable` while there are none. */
  current(): S3Credentials
  stop(): void
}

export async function followCredentials(client: S3Client): Promise<CurrentCredentials> {
  let last: S3Credentials | null = null
  let failure: unknown = null

  /** The SDK remembers what it was given until shortly before that expires. */
  async function look(): Promise<void> {
    try {
      const { accessKeyId, secretAccessKey, sessionToken } = await client.config.credentials()
      last = { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) }
    } catch (error) {
      failure = asS3Error(error)
    }
  }

  await look()
  const timer = setInterval(() => void look(), LOOK_AGAIN_MS)
  timer.unref()
  return {
    current() {
      // oxlint-disable-next-line only-throw-error
      if (last === null) throw failure
      return last
    },
    stop: () => clearInterval(timer),
  }
}
