/** Which way a film takes. */
import { BucketError, BucketUpload } from './admin-bucket.js'
import { find } from './admin-dom.js'
import { TusUpload } from './admin-tus.js'

/** Whether there is a bucket, and it takes films from this page as far as is known. */
let isBucketOpen = 'bucket' in find('#uploads').dataset

/**
 * One upload: straight to the bucket where that goes, else through the server. `told` as in either of them, which have the
 * same methods.
 */
export class Transfer {
  #toBucket
  #throughServer
  #way = null

  constructor(file, metadata, told) {
    this.#toBucket = new BucketUpload(file, metadata, told)
    this.#throughServer = new TusUpload(file, metadata, told)
    // What has begun goes on; and the server has a sentence for an empty file.
    if (this.#throughServer.isBegun || file.size === 0) this.#way = this.#throughServer
  }

  async run() {
    this.#way ??= isBucketOpen ? this.#toBucket : this.#throughServer
    try {
      return await this.#way.run()
    } catch (error) {
      if (this.#way === this.#throughServer || !isDeadEnd(error)) throw error
      find('#detour').hidden = !(error instanceof BucketError)
    }
    isBucketOpen = false
    this.#way = this.#throughServer
    await this.#toBucket.cancel()
    return await this.#throughServer.run()
  }

  async cancel() {
    await this.#way?.cancel()
  }
}

/** The bucket takes nothing from this page; or the server (404) has no bucket any more. */
const isDeadEnd = (error) => (error instanceof BucketError ? error.isShut : error.status === 404)
