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
import { findVideoRecord, listChangeTimes, listVideoRecords, versionOf } from './video-rows.ts'

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
  /** A signed URL: of a rendition, or for `auto` of the master playlist. Throws `not_found` with the sentence of the contract. */
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
  rings: number
}

export function createCatalogue(needs: {
  db: Database
  clock: Clock
  doorbell: Doorbell
  urls: MediaUrls
  /** Of the master playlist; null if there is none. */
  masterUrl(videoId: number): Promise<string | null>
  mediaUrlTtlMs: number
}): Catalogue {
  const { db, clock, doorbell, urls } = needs
  /** Signed URLs in the list age with it. */
  const longestLifeMs = Math.min(5 * 60_000, needs.mediaUrlTtlMs / 4)
  let built: Built | null = null
  let building: Promise<void> | null = null
  let checkedAt = 0
  /** Rings heard; a page is good only if there was none since its rows were read. */
  let rings = 0
  const stopListening = doorbell.onRing('catalogue', () => {
    rings += 1
  })

  function isFresh(page: Built): boolean {
    const now = clock.now().getTime()
    const isChecked = page.rings === rings && now - checkedAt < CHECK_INTERVAL_MS
    return isChecked && now - page.builtAt <= longestLifeMs
  }

  async function rebuild(): Promise<void> {
    const now = clock.now()
    const ringsBefore = rings
    const version = versionOf(await listChangeTimes(db))
    const isYoung = built !== null && now.getTime() - built.builtAt <= longestLifeMs
    const isSame = isYoung && built?.version === version && built.rings === ringsBefore
    if (!isSame) built = { ...(await build(now)), version, rings: ringsBefore }
    checkedAt = now.getTime()
  }

  async function build(now: Date): Promise<Pick<Built, 'page' | 'builtAt'>> {
    const records = await listVideoRecords(db)
    const json = Buffer.from(JSON.stringify(records.map((record) => toVideo(record, urls, now))))
    const gzipped = await compress(json)
    const hash = createHash('sha256').update(json).digest('base64url').slice(0, 27)
    const page = { json, gzipped, etag: `"${hash}"`, gzippedEtag: `"${hash}-gz"` }
    return { page, builtAt: now.getTime() }
  }

  return {
    async page() {
      const ringsBefore = rings
      while (built === null || !isFresh(built)) {
        building ??= rebuild().finally(() => {
          building = null
        })
        await building
        // Rung since: good enough for who asked before.
        if (built && built.rings >= ringsBefore) break
      }
      return built.page
    },

    async video(id) {
      const record = await findVideoRecord(db, id)
      if (!record) throw new AppError('not_found', 'Not found.')
      return toVideo(record, urls, clock.now())
    },

    async playbackUrl(id, asked) {
      const record = await findVideoRecord(db, id)
      if (!record) throw new AppError('not_found', 'Video not found')
      if (asked === 'auto') {
        const url = await needs.masterUrl(id)
        if (url === null) throw notAvailable()
        return url
      }
      const quality = chooseQuality(
        record.renditions.map((rendition) => rendition.quality),
        asked,
      )
      const rendition = record.renditions.find((each) => each.quality === quality)
      if (!rendition) throw notAvailable()
      const durationMs = record.published?.media_info?.durationMs ?? 0
      return urls.urlOf(rendition.object_key, durationMs, clock.now())
    },

    close: stopListening,
  }
}

function notAvailable(): AppError {
  return new AppError('not_found', 'Requested quality not available')
}
