import { AppError } from '../errors.ts'
import { launch } from './lifecycle.ts'

/** `videoflix s3-cors`: replaces the CORS rules of the bucket by the one that our pages need. */
export async function allowOurOrigins(): Promise<void> {
  const { app, settings, backendOrigin } = await launch()
  try {
    if (!app.bucket) {
      throw new AppError('misconfigured', 'There is no bucket: set USE_S3_MEDIA=True.')
    }
    const origins = [...new Set([backendOrigin, ...settings.corsOrigins])]
    await app.bucket.allowOrigins(origins)
    process.stdout.write(
      `Pages of ${origins.join(', ')} may play from the bucket ${settings.s3?.bucket} and upload to it.\n`,
    )
  } finally {
    await app.close()
  }
}
