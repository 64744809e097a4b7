import { assertKey } from '../ports/object-store/object-store.ts'
import type { S3Urls } from '../ports/object-store/s3-presign.ts'
import { mediaTypeOf } from './media-type.ts'
import type { SignedUrls } from './signed-urls.ts'

/** URLs that lead past this server, to the bucket. The type is part of what is signed: nobody can ask for another. */
export function createS3MediaUrls(needs: {
  urls: S3Urls
  /** Of media in the bucket. */
  prefix: string
  /** False: anybody may read media, and its URLs are plain. */
  signs: boolean
}): SignedUrls {
  const { urls, prefix, signs } = needs
  return {
    urlUntil(path, expires) {
      assertKey(path)
      if (!signs) return urls.plain(prefix + path)
      const query = { 'response-content-type': mediaTypeOf(path), 'x-id': 'GetObject' }
      return urls.signed('GET', prefix + path, expires, query)
    },

    // What is in the bucket does not come through here.
    grantedBy: () => null,
  }
}
