import { join } from 'node:path'
import { scratchName } from '../processing/scratch.ts'
import { folderPlace } from '../uploads/folder-place.ts'
import type { UploadPlace } from '../uploads/place.ts'
import { twoPlaces } from '../uploads/two-places.ts'
import { countUploadsUnderWay } from '../uploads/under-way.ts'
import { openStores, type Bucket, type Stores } from '../storage/stores.ts'
import type { Foundation } from './foundation.ts'
import type { Services } from './services.ts'

interface OpenPlace {
  place: UploadPlace
  close(): void
}

/** New uploads begin where the settings say; those of before a change of the settings go on where they are. */
export async function placeOfUploads(
  foundation: Foundation,
  services: Services,
): Promise<OpenPlace> {
  const { settings, stores } = foundation
  const { staging, intake } = services
  const folder = folderPlace({ settings: settings.uploads, staging, intake })
  if (stores.bucket) {
    const { originals } = stores
    const { bucketPlace } = await import('../uploads/bucket-place.ts')
    const needs = bucketNeeds(foundation, services, { ...stores, bucket: stores.bucket })
    const place = await bucketPlace({ ...needs, originals })
    return { place: twoPlaces(place, folder), close: () => {} }
  }
  const former = await formerPlace(foundation, services)
  if (former === null) return { place: folder, close: () => {} }
  return { place: twoPlaces(folder, former.place), close: () => former.close() }
}

/** A bucket that was in use before. Null while nothing is under way in it, which spares us its client. */
async function formerPlace(foundation: Foundation, services: Services): Promise<OpenPlace | null> {
  const { settings, db, clock, log, stores } = foundation
  const { inBucket } = await countUploadsUnderWay({
    db,
    now: clock.now(),
    dir: settings.uploads.dir,
  })
  if (inBucket === 0) return null
  if (settings.unusedS3 === null) {
    log.warn(
      `${inBucket === 1 ? '1 resumable upload goes on' : `${inBucket} resumable uploads go on`} in a bucket that is not in the settings any more: set AWS_STORAGE_BUCKET_NAME and the other AWS_… again, until nothing is left of them.`,
    )
    return null
  }
  const there = await openStores({ ...settings, s3: settings.unusedS3 })
  const { bucket } = there
  if (!bucket) return null
  const { formerBucketPlace } = await import('../uploads/former-bucket-place.ts')
  const place = await formerBucketPlace({
    ...bucketNeeds(foundation, services, { ...there, bucket }),
    bucketOriginals: there.originals,
    originals: stores.originals,
    workDir: join(settings.tasks.workDir, scratchName('upload')),
  })
  return { place, close: () => there.close() }
}

function bucketNeeds(
  { settings, db, clock }: Foundation,
  { library }: Services,
  { intermediates, bucket }: Pick<Stores, 'intermediates'> & { bucket: Bucket },
) {
  const { dir, ttlMs } = settings.uploads
  return { db, clock, parts: bucket.uploads, intermediates, dir, ttlMs, library }
}
