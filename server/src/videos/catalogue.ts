import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { Video } from '@videoflix/contract'
import type { Database } from '../db/database.ts'
import { AppError } from '../errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { Doorbell } from '../ports/doorbell/doorbell.ts'
import type { MediaUrls } from '../storage/media-urls.ts'
import { chooseQuality, toVideo } from './video-object.ts'
import { catalogueVersion, findVideoRecord, listVideoRecords } from './video-rows.ts'

/** The whole list as bytes, ready to be sent. */
export interface CataloguePage {
  json: Buffer
  gzipped: Buffer
  /** Strong, and different for the two encodings (RFC 9110 §8.8.3.3). */
  etag: string
  gzippedEtag: string
}

export interface Catalogue {
  /** All videos, newest first; the same bytes until something changes. */
  page(): Promise<CataloguePage>
  /** Throws `not_found`. */
  video(id: number): Promise<Video>
  /** A signed URL. Throws `not_found` with the sentence of the contract. */
  playbackUrl(id: number, quality: string | undefined): Promise<string>
  close(): void
}

const compress = promisify(gzip)
/** A change made by another process is seen after this time at the latest; one made here, at once. */
const CHECK_INTERVAL_MS = 5000

interface Built {
  page: CataloguePage
  version: string
  builtAt: number
}

export function createCatalogue(needs: {
  db: Database
  clock: Clock
  doorbell: Doorbell
  urls: MediaUrls
  mediaUrlTtlMs: number
}): Catalogue {
  const { db, clock, doorbell, urls } = needs
  /** Signed URLs in the list age with it. */
  const longestLifeMs = Math.min(5 * 60_000, needs.mediaUrlTtlMs / 4)
  let built: Built | null = null
  let building: Promise<Built> | null = null
  let checkedAt = 0
  const stopListening = doorbell.onRing('catalogue', () => {
    checkedAt = 0
  })

  async function build(): Promise<Built> {
    const now = clock.now()
    const version = await catalogueVersion(db)
    const isOld = built === null || now.getTime() - built.builtAt > longestLifeMs
    if (built && !isOld && built.version === version) return built
    const records = await listVideoRecords(db)
    const json = Buffer.from(JSON.stringify(records.map((record) => toVideo(record, urls, now))))
    const gzipped = await compress(json)
    const hash = createHash('sha256').update(json).digest('base64url').slice(0, 27)
    const page = { json, gzipped, etag: `"${hash}"`, gzippedEtag: `"${hash}-gz"` }
    return { page, version, builtAt: now.getTime() }
  }

  async function rebuild(): Promise<Built> {
    // A ring while building must not be lost: note the time before looking.
    checkedAt = clock.now().getTime()
    built = await build()
    return built
  }

  return {
    async page() {
      const now = clock.now().getTime()
      const isFresh =
        built !== null &&
        now - checkedAt < CHECK_INTERVAL_MS &&
        now - built.builtAt <= longestLifeMs
      if (built && isFresh) return built.page
      building ??= rebuild().finally(() => {
        building = null
      })
      return (await building).page
    },

    async video(id) {
      const record = await findVideoRecord(db, id)
      if (!record) throw new AppError('not_found', 'Not found.')
      return toVideo(record, urls, clock.now())
    },

    async playbackUrl(id, asked) {
      const record = await findVideoRecord(db, id)
      if (!record) throw new AppError('not_found', 'Video not found')
      const quality = chooseQuality(
        record.renditions.map((rendition) => rendition.quality),
        asked,
      )
      const rendition = record.renditions.find((each) => each.quality === quality)
      if (!rendition) throw new AppError('not_found', 'Requested quality not available')
      const durationMs = record.published?.media_info?.durationMs ?? 0
      return urls.urlOf(rendition.object_key, durationMs, clock.now())
    },

    close: stopListening,
  }
}
