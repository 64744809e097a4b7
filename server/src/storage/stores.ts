import type { Settings } from '../config/settings.ts'
import { localStore } from '../ports/object-store/local-store.ts'
import type { ObjectStore } from '../ports/object-store/object-store.ts'
import type { MultipartUploads } from '../ports/object-store/s3-multipart.ts'
import type { SignedUrls } from './signed-urls.ts'

/** Where all bytes are. */
export interface Stores {
  originals: ObjectStore
  intermediates: ObjectStore
  media: ObjectStore
  /** Null: media is sent by this server. */
  bucket: Bucket | null
  /**
   * Removes what killed processes left, here and there, days before `now` (ours unless told); at most once an hour,
   * however often it is called.
   */
  tidy(now?: Date): Promise<void>
  close(): void
}

/** What clients do with a bucket directly. */
export interface Bucket {
  /** Scheme and host, as pages must be allowed to load from. */
  origin: string
  /** Of media. */
  urls: SignedUrls
  /** Of originals. */
  uploads: MultipartUploads
  /** Lets pages of these origins read media and send parts of uploads. */
  allowOrigins(origins: string[]): Promise<void>
  allowsOrigin(origin: string): Promise<boolean>
  /** Throws `misconfigured` where not everybody who should can fetch media, or somebody who should not. */
  checkDelivery(): Promise<void>
}

export async function openStores(settings: Settings): Promise<Stores> {
  if (settings.s3 === null) return localStores(settings)
  // The SDK takes its time to load, and memory.
  const { openS3Stores } = await import('./s3-stores.ts')
  return await openS3Stores(settings.s3, settings.cacheDir)
}

export function localStores(
  settings: Pick<Settings, 'originalsDir' | 'intermediatesDir'> & { media: { root: string } },
): Stores {
  return {
    originals: localStore(settings.originalsDir),
    intermediates: localStore(settings.intermediatesDir),
    media: localStore(settings.media.root),
    bucket: null,
    tidy: () => Promise.resolve(),
    close: () => {},
  }
}
