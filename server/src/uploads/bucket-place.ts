import { mkdir } from 'node:fs/promises'
import { invalid } from '../errors.ts'
import type { ObjectStore } from '../ports/object-store/object-store.ts'
import type { Library } from '../videos/library.ts'
import { BucketDataStore, type BucketNeeds } from './bucket-datastore.ts'
import {
  findBucketUpload,
  listWholeUploads,
  takeBucketUpload,
  takeExpiredUpload,
} from './bucket-upload-rows.ts'
import { admit, checkedSha256, type Intake } from './intake.ts'
import { leaveToSweep } from './leave-to-sweep.ts'
import { joinParts } from './parts.ts'
import type { UploadPlace } from './place.ts'

/** Uploads in parts of the bucket: whole, they are originals already. */
export async function bucketPlace(
  needs: BucketNeeds & { originals: ObjectStore; library: Library },
): Promise<UploadPlace> {
  const { db, parts, originals, library, dir } = needs
  await mkdir(dir, { recursive: true })
  const datastore = new BucketDataStore(needs)

  const intake: Intake = async ({ uploadId, fileName, purpose, expectedSha256 }, sender) => {
    const upload = await findBucketUpload(db, uploadId)
    const known = await library.findByUpload(uploadId)
    if (known !== null) return known
    if (!upload) throw invalid({ video_file: ['This upload was ended: begin another.'] })
    const sizeBytes = await joinParts(parts, originals, upload)
    const sha256 =
      expectedSha256 === null
        ? null
        : await checkedSha256(await originals.read(uploadId), expectedSha256)
    const original = { uploadId, objectKey: uploadId, fileName, sizeBytes, sha256 }
    const videoId = await admit(library, original, purpose, sender)
    await takeBucketUpload(db, uploadId)
    await leaveToSweep(datastore.removeTails(uploadId))
    return videoId
  }

  return {
    datastore,
    // The bucket has room, or says so.
    assertRoomFor: () => Promise.resolve(),
    intake,

    async remove(uploadId) {
      const upload = await takeBucketUpload(db, uploadId)
      if (!upload) return
      await datastore.discard(upload)
      if ((await library.findByUpload(uploadId)) === null) await originals.delete(uploadId)
    },

    holds: async (uploadId) => (await findBucketUpload(db, uploadId)) !== null,

    listIds: () => listWholeUploads(db),

    async removeAbandoned(now) {
      for (;;) {
        const upload = await takeExpiredUpload(db, now)
        if (upload === null) break
        await datastore.discard(upload)
      }
      await datastore.removeTailsLeft()
    },
  }
}
