import type { TestApp } from '../harness/app.ts'

/** The settings with which a command works on what an app has. */
export async function envOf({ settings, s3 }: TestApp): Promise<Record<string, string>> {
  const { database, dataDir } = settings
  return {
    DATA_DIR: dataDir,
    DEBUG: 'True',
    MIN_FREE_DISK_BYTES: '0',
    ...(database.kind === 'postgres' && { DATABASE_URL: database.url }),
    ...(settings.s3 && (await s3?.env(settings.s3.bucket))),
  }
}
