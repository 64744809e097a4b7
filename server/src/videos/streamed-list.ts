import { Readable } from 'node:stream'
import { setImmediate as breathe } from 'node:timers/promises'
import type { Database } from '../db/database.ts'
import { bytesOf, joinPieces, toPiece, type Piece } from '../http/gzip-pieces.ts'
import type { MediaUrls } from '../storage/media-urls.ts'
import { VERSION } from '../version.ts'
import type { CataloguePage } from './catalogue.ts'
import { versionOf, type Stretch } from './list-versions.ts'
import { listShownVideosFrom } from './shown-videos.ts'
import { toVideo } from './video-object.ts'

/**
 * A list too long to be made at once. Its stretches are made when a client has read up to them, and kept compressed for
 * the next one; what has changed is the work of one stretch. A client sees each as it is when it is made: no video twice,
 * none of another time than its place says, but no snapshot.
 */
export interface StreamedList {
  page(stretches: Stretch[], now: Date): CataloguePage
}

/** Of compressed stretches; what is beyond is made anew each time. A video has some 300 bytes. */
const KEPT_BYTES = 64 * 1024 * 1024
const HOUR = 3_600_000

export function createStreamedList(needs: {
  db: Database
  urls: MediaUrls
  mediaUrlTtlMs: number
}): StreamedList {
  const { db, urls } = needs
  /** Signed for the end of this time, so that all URLs made within it are the same, and none lives too short. */
  const windowMs = Math.min(HOUR, needs.mediaUrlTtlMs / 4)
  const kept = new Map<string, Piece>()
  const making = new Map<string, Promise<Piece>>()
  let listed = new Set<string>()
  let keptBytes = 0

  function forget(key: string): void {
    keptBytes -= kept.get(key)?.deflated.length ?? 0
    kept.delete(key)
  }

  async function make(stretch: Stretch, key: string, signedAt: Date): Promise<Piece> {
    const videos = await listShownVideosFrom(db, stretch.newest, stretch.oldest)
    await breathe()
    const objects = videos.map((video) => JSON.stringify(toVideo(video, urls, signedAt)))
    const piece = await toPiece(Buffer.from(objects.join(',')))
    if (listed.has(key) && keptBytes + piece.deflated.length <= KEPT_BYTES) {
      kept.set(key, piece)
      keptBytes += piece.deflated.length
    }
    return piece
  }

  async function pieceOf(stretch: Stretch, signedAt: Date): Promise<Piece> {
    const key = keyOf(stretch, signedAt)
    const known = kept.get(key) ?? making.get(key)
    if (known) return await known
    const made = make(stretch, key, signedAt).finally(() => making.delete(key))
    making.set(key, made)
    return await made
  }

  async function* piecesOf(stretches: Stretch[], signedAt: Date): AsyncGenerator<Piece> {
    const [start, comma, end] = await PUNCTUATION
    let next = start
    for (const stretch of stretches) {
      const piece = await pieceOf(stretch, signedAt)
      // All of it was deleted meanwhile.
      if (piece.sizeBytes === 0) continue
      yield next
      yield piece
      next = comma
    }
    if (next === start) yield start
    yield end
  }

  return {
    page(stretches, now) {
      const signedAt = new Date((Math.floor(now.getTime() / windowMs) + 1) * windowMs)
      listed = new Set(stretches.map((stretch) => keyOf(stretch, signedAt)))
      for (const key of kept.keys()) if (!listed.has(key)) forget(key)
      // What the same rows are made to: by this program, for this origin, with this key.
      const version = versionOf(stretches, VERSION, urls.urlOf('any', 0, signedAt))
      return {
        etag: `"${version}"`,
        gzippedEtag: `"${version}-gz"`,
        body(isGzipped) {
          const pieces = piecesOf(stretches, signedAt)
          const bytes = isGzipped ? joinPieces(pieces) : inflated(pieces)
          return Readable.from(bytes, { objectMode: false })
        },
      }
    },
  }
}

function keyOf({ version }: Stretch, signedAt: Date): string {
  return `${version} ${signedAt.getTime()}`
}

async function* inflated(pieces: AsyncIterable<Piece>): AsyncGenerator<Buffer> {
  for await (const piece of pieces) yield await bytesOf(piece)
}

const PUNCTUATION = Promise.all([
  toPiece(Buffer.from('[')),
  toPiece(Buffer.from(',')),
  toPiece(Buffer.from(']')),
] as const)
