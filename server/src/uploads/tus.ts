import type { IncomingMessage } from 'node:http'
import { ERRORS, Server as TusServer, type Locker, type Upload } from '@tus/server'
import { MESSAGES, type VideoFields } from '@videoflix/contract'
import type { Settings } from '../config/settings.ts'
import { AppError, invalid } from '../errors.ts'
import { newId } from '../ports/ids.ts'
import { titleTaken, type Actor, type Library } from '../videos/library.ts'
import { finishingTurns } from './finishing-turns.ts'
import { emptyFile, isFinal, takenOver } from './intake.ts'
import type { UploadPlace } from './place.ts'
import { toWebRequest } from './tus-exchange.ts'
import { readSha256, readVideoFields, shownFileName } from './upload-fields.ts'

export const TUS_PATH = '/admin/api/uploads'

type Metadata = Record<string, string | null | undefined>

export interface TusUploads {
  maxBytes: number
  /** Answers a request of the protocol. */
  answer(request: IncomingMessage, sender: Actor): Promise<Response>
  /** Finishes what was whole when the program was ended before it could be made a video. */
  finishWhole(): Promise<void>
  /** Removes what has not grown for UPLOAD_TTL. */
  removeAbandoned(now: Date): Promise<void>
}

/** Resumable uploads (tus 1.0.0): creation, creation-with-upload, termination, expiration. */
export function createTusUploads(needs: {
  settings: Settings['uploads']
  place: UploadPlace
  locker: Locker
  library: Library
  onError: (error: unknown) => void
}): TusUploads {
  const { settings, place, library, onError } = needs
  const { datastore } = place
  const senders = new WeakMap<Request, Actor>()
  const turns = finishingTurns(needs.locker)

  async function finish(upload: Upload, sender: Actor): Promise<number> {
    const metadata = upload.metadata ?? {}
    const fileName = shownFileName(metadata['filename'] ?? undefined)
    const whole = { uploadId: upload.id, fileName, expectedSha256: readSha256(metadata['sha256']) }
    const replaces = replacedVideo(metadata)
    try {
      if (replaces !== null) return await place.intake({ ...whole, purpose: { replaces } }, sender)
      return await retryingTitle(async () => {
        const fields = await finalFields(metadata, library)
        return await place.intake({ ...whole, purpose: { fields } }, sender)
      })
    } catch (error) {
      // Sending the same bytes again cannot help: make room for the right ones.
      if (error instanceof AppError && isFinal(error)) await place.remove(upload.id)
      throw error
    }
  }

  async function finishIfWhole(id: string): Promise<void> {
    // It is a video already, and the program was ended before the upload was removed.
    if ((await library.findByUpload(id)) !== null) return await place.remove(id)
    const upload = await datastore.getUpload(id)
    const isWhole = upload.size !== undefined && upload.size > 0 && upload.offset === upload.size
    if (!isWhole) return
    await turns.takeIfFree(id, () => finish(upload, { userId: null, address: null }))
  }

  async function assertReplaceable(videoId: number): Promise<void> {
    if (await library.exists(videoId)) return
    throw invalid({ video: ['There is no such video to replace.'] })
  }

  const server = new TusServer({
    path: TUS_PATH,
    datastore,
    locker: needs.locker,
    maxSize: settings.maxBytes,
    // Whoever comes back is given the upload at once: what has arrived by then is kept whenever its connection ends.
    lockDrainTimeout: 1,
    relativeLocation: true,
    namingFunction: () => newId(),

    async onUploadCreate(_request, upload) {
      if (upload.size === 0) throw emptyFile()
      await place.assertRoomFor(upload.size ?? 0)
      const metadata = upload.metadata ?? {}
      refuseNul(metadata)
      readSha256(metadata['sha256'])
      const replaces = replacedVideo(metadata)
      if (replaces === null) await readFields(metadata, library)
      else await assertReplaceable(replaces)
      return {}
    },

    async onUploadFinish(request, upload) {
      const sender = senders.get(request) ?? { userId: null, address: null }
      const videoId = await turns.take(upload.id, () => finish(upload, sender))
      // Else the library looks for a file that is gone, to tell when it expires.
      Object.assign(upload, { creation_date: undefined })
      return { headers: { 'X-Video-Id': String(videoId) } }
    },

    onResponseError(_request, error) {
      const reply = asReply(error)
      if (error instanceof Error && (reply?.status_code ?? 500) >= 500) onError(error)
      return reply
    },
  })

  return {
    maxBytes: settings.maxBytes,

    async answer(request, sender) {
      const { webRequest, readRest } = toWebRequest(request)
      senders.set(webRequest, sender)
      try {
        return await server.handleWeb(webRequest)
      } finally {
        readRest()
      }
    },

    removeAbandoned: (now) => place.removeAbandoned(now),

    async finishWhole() {
      for (const id of await place.listIds()) await finishIfWhole(id).catch(onError)
    },
  }
}

/** All of it is kept, and PostgreSQL's JSON has no NUL. */
function refuseNul(metadata: Metadata): void {
  const odd = Object.keys(metadata).filter((name) => metadata[name]?.includes('\0'))
  if (odd.length > 0) throw invalid(Object.fromEntries(odd.map((name) => [name, [MESSAGES.nul]])))
}

/** Metadata `video`: the id of the video whose source this replaces. Throws `invalid` for what is no id. */
function replacedVideo(metadata: Metadata): number | null {
  const given = metadata['video']
  if (given === undefined || given === null || given === '') return null
  if (!/^\d{1,15}$/.test(given)) throw invalid({ video: ['There is no such video to replace.'] })
  return Number(given)
}

function readFields(metadata: Metadata, library: Library): Promise<VideoFields> {
  const { title, description, category } = metadata
  const fields = {
    title: title ?? undefined,
    description: description ?? undefined,
    category: category ?? undefined,
  }
  return readVideoFields(fields, shownFileName(metadata['filename'] ?? undefined), library)
}

/** The title was free when the upload began. If it no longer is, the bytes count for more than the name. */
async function finalFields(metadata: Metadata, library: Library): Promise<VideoFields> {
  const { title } = metadata
  if (title === undefined || title === null) return await readFields(metadata, library)
  return await readFields({ ...metadata, title: await library.freeTitle(title.trim()) }, library)
}

/** A title that was free may be taken a moment later; there is always another. */
async function retryingTitle(work: () => Promise<number>): Promise<number> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work()
    } catch (error) {
      const isTaken = error instanceof AppError && error.message === titleTaken().message
      if (!isTaken || attempt === 20) throw error
    }
  }
}

const STATUS: Partial<Record<AppError['code'], number>> = {
  invalid: 400,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  too_large: 413,
  disk_full: 507,
  unavailable: 503,
  misconfigured: 503,
}

/** tus takes errors as a status and a text: ours is the JSON of every other route. */
function asReply(error: unknown): { status_code: number; body: string } | undefined {
  if (error instanceof AppError) {
    const body = JSON.stringify(error.fields ?? { detail: error.message })
    return { status_code: STATUS[error.code] ?? 500, body }
  }
  // Whoever came later has it now: 400, as the library has it, would keep a client from ever trying again.
  if (error === ERRORS.ABORTED) return asReply(takenOver())
  // The library's own have a status; of others nobody needs to know more.
  if (typeof error === 'object' && error !== null && 'status_code' in error) return undefined
  return { status_code: 500, body: JSON.stringify({ detail: 'Something went wrong here.' }) }
}
