import type { Backend } from './app.ts'
import { startPostgres } from './postgres.ts'
import { has } from './programs.ts'
import { startRedis } from './redis.ts'
import { hasS3, type S3Service } from './s3.ts'
import { sharedS3 } from './shared-s3.ts'

/** What a program needs besides itself: nothing, or PostgreSQL, Redis and a bucket. */
export interface Services extends AsyncDisposable {
  /** Settings that lead to them, for a program in this process or for processes of their own. */
  env: Record<string, string>
  /** Null where media is local. */
  s3: S3Service | null
  stop(): Promise<void>
}

/** S3 is the one that all journeys share, unless another is given; the bucket is a fresh one. */
export async function startServices(
  backend: Backend,
  media: 'local' | 's3' | S3Service = mediaOf(backend),
): Promise<Services> {
  const postgres = backend === 'postgres' ? await startPostgres() : null
  const redis = backend === 'postgres' && has('redis') ? await startRedis() : null
  const s3 = media === 's3' ? await sharedS3() : media === 'local' ? null : media
  const env = {
    ...(postgres && { DATABASE_URL: await postgres.databaseUrl() }),
    ...(redis && { REDIS_URL: redis.url }),
    ...(s3 && (await s3.env())),
  } as Record<string, string>
  const stop = async (): Promise<void> => {
    await postgres?.stop()
    await redis?.stop()
    await s3?.empty(env['AWS_STORAGE_BUCKET_NAME'] ?? '')
  }
  return { env, s3, stop, [Symbol.asyncDispose]: stop }
}

/** Where media is unless a test says otherwise. */
export function mediaOf(backend: Backend): 'local' | 's3' {
  return backend === 'postgres' && hasS3 ? 's3' : 'local'
}
