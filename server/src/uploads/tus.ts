import { createWriteStream } from 'node:fs'
import { readdir } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { basename, join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { FileStore } from '@tus/file-store'
import { Server as TusServer, type Upload } from '@tus/server'
import type { VideoFields } from '@videoflix/contract'
import type { Settings } from '../config/settings.ts'
import { AppError, invalid } from '../errors.ts'
import { newId } from '../ports/ids.ts'
import { titleTaken, type Actor, type Library } from '../videos/library.ts'
import { emptyFile, isFinal, type Intake } from './intake.ts'
import { asDiskFull, syncFile, type Staging } from './staging.ts'
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
}

/** A store whose acknowledged bytes are on the disk: an offset that was told is never taken back. */
class SyncedFileStore extends FileStore {
  override async write(readable: Readable, uploadId: string, offset: number): Promise<number> {
    const path = join(this.directory, uploadId)
    const file = createWriteStream(path, { flags: 'r+', start: offset })
    try {
      await answering(() =>
        pipeline(readable, file).catch((error: unknown) => {
          throw asDiskFull(error)
        }),
      )
    } finally {
      // What came before a cut counts as well: the next question for the offset tells it.
      await syncFile(path)
    }
    return offset + file.bytesWritten
  }
}

/** Resumable uploads (tus 1.0.0): creation, creation-with-upload, termination, expiration. */
export function createTusUploads(needs: {
  settings: Settings['uploads']
  staging: Staging
  intake: Intake
  library: Library
  onError: (error: unknown) => void
}): TusUploads {
  const { settings, staging, intake, library, onError } = needs
  const senders = new WeakMap<Request, Actor>()
  const datastore = new SyncedFileStore({
    directory: settings.dir,
    expirationPeriodInMilliseconds: settings.ttlMs,
  })

  const finishing = new Map<string, Promise<number>>()

  /** However often it is asked for at once, an upload is finished by one. */
  function finish(upload: Upload, sender: Actor): Promise<number> {
    const running = finishing.get(upload.id)
    if (running) return running
    const work = finishOrForget(upload, sender).finally(() => finishing.delete(upload.id))
    finishing.set(upload.id, work)
    return work
  }

  async function finishOrForget(upload: Upload, sender: Actor): Promise<number> {
    const metadata = upload.metadata ?? {}
    const fileName = shownFileName(metadata['filename'] ?? undefined)
    const whole = { uploadId: upload.id, fileName, expectedSha256: readSha256(metadata['sha256']) }
    const replaces = replacedVideo(metadata)
    try {
      if (replaces !== null) return await intake({ ...whole, purpose: { replaces } }, sender)
      return await retryingTitle(async () => {
        const fields = await finalFields(metadata, library)
        return await intake({ ...whole, purpose: { fields } }, sender)
      })
    } catch (error) {
      // Sending the same bytes again cannot help: make room for the right ones.
      if (error instanceof AppError && isFinal(error)) await staging.remove(upload.id)
      throw error
    }
  }

  async function assertReplaceable(videoId: number): Promise<void> {
    if (await library.exists(videoId)) return
    throw invalid({ video: ['There is no such video to replace.'] })
  }

  const server = new TusServer({
    path: TUS_PATH,
    datastore,
    maxSize: settings.maxBytes,
    relativeLocation: true,
    namingFunction: () => newId(),

    async onUploadCreate(_request, upload) {
      return await answering(async () => {
        if (upload.size === 0) throw emptyFile()
        await staging.assertRoomFor(upload.size ?? 0)
        const metadata = upload.metadata ?? {}
        readSha256(metadata['sha256'])
        const replaces = replacedVideo(metadata)
        if (replaces === null) await readFields(metadata, library)
        else await assertReplaceable(replaces)
        return {}
      })
    },

    async onUploadFinish(request, upload) {
      return await answering(async () => {
        const sender = senders.get(request) ?? { userId: null, address: null }
        const videoId = await finish(upload, sender)
        // Else the library looks for a file that is gone, to tell when it expires.
        Object.assign(upload, { creation_date: undefined })
        return { headers: { 'X-Video-Id': String(videoId) } }
      })
    },

    onResponseError(_request, error) {
      if (error instanceof Error) onError(error)
      return undefined
    },
  })

  return {
    maxBytes: settings.maxBytes,

    async answer(request, sender) {
      const webRequest = toWebRequest(request)
      senders.set(webRequest, sender)
      return await server.handleWeb(webRequest)
    },

    async finishWhole() {
      // The library's own list leaves out an upload whose bytes have been removed, but not its description.
      const names = await readdir(settings.dir).catch((): string[] => [])
      for (const name of names.filter((each) => each.endsWith('.json'))) {
        const id = basename(name, '.json')
        try {
          // It is a video already, and the program was ended before the upload was removed.
          if ((await library.findByUpload(id)) !== null) {
            await staging.remove(id)
            continue
          }
          const upload = await datastore.getUpload(id)
          const isWhole =
            upload.size !== undefined && upload.size > 0 && upload.offset === upload.size
          if (isWhole) await finish(upload, { userId: null, address: null })
        } catch (error) {
          onError(error)
        }
      }
    },
  }
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
  not_found: 404,
  disk_full: 507,
  too_large: 413,
  unavailable: 503,
  misconfigured: 503,
}

/** tus takes errors as a status and a text: ours is the JSON of every other route. */
async function answering<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const status = error instanceof AppError ? STATUS[error.code] : undefined
    if (!(error instanceof AppError) || status === undefined) throw error
    const body = JSON.stringify(error.fields ?? { detail: error.message })
    // The library's way to refuse.
    // oxlint-disable-next-line no-throw-literal, only-throw-error
    throw { status_code: status, body }
  }
}
