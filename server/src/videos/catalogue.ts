import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import type { Video } from '@videoflix/contract'
import type { Database } from '../db/database.ts'
import { AppError } from '../errors.ts'
import { gzip } from '../http/gzip-pieces.ts'
import type { Clock } from '../ports/clock.ts'
import type { Doorbell } from '../ports/doorbell/doorbell.ts'
import type { MediaUrls } from '../storage/media-urls.ts'
import { readCursor, toCursor } from './cursor.ts'
import { listStretches, versionOf, type Stretch } from './list-versions.ts'
import { prefixesOf } from './search-words.ts'
import type { SearchIndex } from './search-index.ts'
import { findShownVideo, listShownVideos } from './shown-videos.ts'
import { createStreamedList } from './streamed-list.ts'
import { chooseQuality, toVideo } from './video-object.ts'
import { listPage } from './video-pages.ts'

/** Videos as bytes, ready to be sent. */
export interface CataloguePage {
  /** Strong, and different for the two encodings (RFC 9110 §8.8.3.3). */
  etag: string
  gzippedEtag: string
  /** Of a long list, a stream for one reader. */
  body(isGzipped: boolean): Buffer | Readable
}

/** What a client asks for of the list. */
export interface ListQuery {
  search?: string | undefined
  category?: string | undefined
  cursor?: string | undefined
  limit: number
}

export interface Catalogue {
  /** All videos, newest first; the same bytes until something changes. */
  page(): Promise<CataloguePage>
  /** Some of them, and the cursor that the next ones begin with; null at the end. Throws `invalid`. */
  some(query: ListQuery): Promise<{ page: CataloguePage; next: string | null }>
  /** Throws `not_found`. */
  video(id: number): Promise<Video>
  /** A signed URL: of a rendition, or for `auto` of the master playlist. Throws `not_found` with the sentence of the contract. */
  playbackUrl(id: number, quality: string | undefined): Promise<string>
  close(): void
}

/** A change made by another process is seen after this time, within the 5 s that are promised; one made here, at once. */
const CHECK_INTERVAL_MS = 4000
/** Up to here the list is one buffer, made in 40 ms at most; a longer one is streamed. */
const WHOLE = 1000

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
  index: SearchIndex
  /** Of the master playlist; null if there is none. */
  masterUrl(videoId: number): Promise<string | null>
  mediaUrlTtlMs: number
}): Catalogue {
  const { db, clock, doorbell, urls, index } = needs
  const streamed = createStreamedList(needs)
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
    const stretches = await listStretches(db)
    const version = versionOf(stretches)
    const isYoung = built !== null && now.getTime() - built.builtAt <= longestLifeMs
    const isSame = isYoung && built?.version === version && built.rings === ringsBefore
    if (!isSame) {
      const page = await build(stretches, now)
      built = { page, builtAt: now.getTime(), version, rings: ringsBefore }
    }
    checkedAt = now.getTime()
  }

  async function build(stretches: Stretch[], now: Date): Promise<CataloguePage> {
    const count = stretches.reduce((sum, stretch) => sum + stretch.count, 0)
    if (count > WHOLE) return streamed.page(stretches, now)
    const videos = await listShownVideos(db)
    return await toPage(videos.map((video) => toVideo(video, urls, now)))
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

    async some({ search, category, cursor, limit }) {
      const prefixes = prefixesOf(search)
      const after = cursor === undefined ? null : readCursor(cursor)
      const { videos, hasNext } = await listPage(
        { db, index },
        { prefixes, category, after, limit },
      )
      const now = clock.now()
      const last = hasNext ? videos.at(-1)?.video : undefined
      return {
        page: await toPage(videos.map((video) => toVideo(video, urls, now))),
        next: last ? toCursor({ createdAt: last.created_at, id: last.id }) : null,
      }
    },

    async video(id) {
      const video = await findShownVideo(db, id)
      if (!video) throw new AppError('not_found', 'Not found.')
      return toVideo(video, urls, clock.now())
    },

    async playbackUrl(id, asked) {
      const video = await findShownVideo(db, id)
      if (!video) throw new AppError('not_found', 'Video not found')
      if (asked === 'auto') {
        const url = await needs.masterUrl(id)
        if (url === null) throw notAvailable()
        return url
      }
      const quality = chooseQuality(
        video.renditions.map((rendition) => rendition.quality),
        asked,
      )
      const rendition = video.renditions.find((each) => each.quality === quality)
      if (!rendition) throw notAvailable()
      const durationMs = video.published?.media_info?.durationMs ?? 0
      return urls.urlOf(rendition.object_key, durationMs, clock.now())
    },

    close: stopListening,
  }
}

async function toPage(videos: Video[]): Promise<CataloguePage> {
  const json = Buffer.from(JSON.stringify(videos))
  const compressing = gzip(json)
  const hash = createHash('sha256').update(json).digest('base64url').slice(0, 27)
  const gzipped = await compressing
  return {
    etag: `"${hash}"`,
    gzippedEtag: `"${hash}-gz"`,
    body: (isGzipped) => (isGzipped ? gzipped : json),
  }
}

function notAvailable(): AppError {
  return new AppError('not_found', 'Requested quality not available')
}
