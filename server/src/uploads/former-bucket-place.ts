import { copyObject } from '../moving/copy-object.ts'
import type { ObjectStore } from '../ports/object-store/object-store.ts'
import type { Library } from '../videos/library.ts'
import type { BucketNeeds } from './bucket-datastore.ts'
import { bucketPlace } from './bucket-place.ts'
import { findBucketUpload } from './bucket-upload-rows.ts'
import { joinParts } from './parts.ts'
import type { UploadPlace } from './place.ts'

interface FormerBucket {
  /** Those of the bucket. */
  bucketOriginals: ObjectStore
  /** Those of the settings, where an upload goes when it is whole. */
  originals: ObjectStore
  library: Library
  /** For what is on its way from there to here. */
  workDir: string
}

/** Uploads in parts of a bucket that the settings have left since. They go on there, and come home when they are whole. */
export async function formerBucketPlace(needs: BucketNeeds & FormerBucket): Promise<UploadPlace> {
  const { db, parts, bucketOriginals, originals, workDir } = needs
  const place = await bucketPlace({ ...needs, originals: bucketOriginals })

  async function bringHome(uploadId: string): Promise<void> {
    const upload = await findBucketUpload(db, uploadId)
    if (!upload) return
    const sizeBytes = await joinParts(parts, bucketOriginals, upload)
    const route = { from: bucketOriginals, to: originals, workDir, comparesBytes: false }
    await copyObject(route, { key: uploadId, sizeBytes })
  }

  return {
    ...place,
    async intake(upload, sender) {
      await bringHome(upload.uploadId)
      const videoId = await place.intake(upload, sender)
      // What cannot be removed now goes when the bucket is emptied.
      await bucketOriginals.delete(upload.uploadId).catch(() => {})
      return videoId
    },
  }
}
