import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { FileStore } from '@tus/file-store'
import { Server as TusServer, type Upload } from '@tus/server'
import type { Settings } from '../config/settings.ts'
import { AppError } from '../errors.ts'
import { newId } from '../ports/ids.ts'
import type { Library } from '../videos/library.ts'
import type { Intake, Sender } from './intake.ts'
import { asDiskFull, syncFile, type Staging } from './staging.ts'
import { readVideoFields, shownFileName } from './upload-fields.ts'

export const TUS_PATH = '/admin/api/uploads'

type Metadata = Record<string, string | null | undefined>

export interface TusUploads {
  server: TusServer
  /** Who sends this request; told by the route, which knows. */
  identify(request: IncomingMessage, sender: Sender): void
  /** Finishes what was whole when the program was ended before it could be made a video. */
  finishWhole(): Promise<void>
}

/** A store whose acknowledged bytes are on the disk: an offset that was told is never taken back. */
class SyncedFileStore extends FileStore {
  override async write(...args: Parameters<FileStore['write']>): Promise<number> {
    const offset = await super.write(...args).catch((error: unknown) => {
      throw asDiskFull(error)
    })
    await syncFile(join(this.directory, args[1]))
    return offset
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
  const senders = new WeakMap<IncomingMessage, Sender>()
  const datastore = new SyncedFileStore({
    directory: settings.dir,
    expirationPeriodInMilliseconds: settings.ttlMs,
  })

  async function finish(upload: Upload, sender: Sender): Promise<number> {
    const metadata = upload.metadata ?? {}
    const fileName = shownFileName(metadata['filename'] ?? undefined)
    const expectedSha256 = metadata['sha256'] ?? null
    const replaces = replacedVideo(metadata)
    try {
      const purpose =
        replaces === null ? { fields: await finalFields(metadata, library) } : { replaces }
      return await intake({ uploadId: upload.id, fileName, purpose, expectedSha256 }, sender)
    } catch (error) {
      // Sending the same bytes again cannot help: make room for the right ones.
      if (error instanceof AppError && error.code === 'invalid') await staging.remove(upload.id)
      throw error
    }
  }

  const server = new TusServer({
    path: TUS_PATH,
    datastore,
    maxSize: settings.maxBytes,
    relativeLocation: true,
    namingFunction: () => newId(),

    async onUploadCreate(_request, upload) {
      return await answering(async () => {
        if (upload.size === 0) throw new AppError('invalid', 'The submitted file is empty.')
        await staging.assertRoomFor(upload.size ?? 0)
        const metadata = upload.metadata ?? {}
        if (replacedVideo(metadata) === null) {
          await readVideoFields(fieldsOf(metadata), metadata['filename'] ?? undefined, library)
        }
        return {}
      })
    },

    async onUploadFinish(request, upload) {
      return await answering(async () => {
        const raw = request.runtime?.node?.req as IncomingMessage | undefined
        const sender = (raw && senders.get(raw)) ?? { userId: null, address: null }
        const videoId = await finish(upload, sender)
        return { headers: { 'X-Video-Id': String(videoId) } }
      })
    },

    onResponseError(_request, error) {
      if (error instanceof Error) onError(error)
      return undefined
    },
  })

  return {
    server,
    identify: (request, sender) => void senders.set(request, sender),

    async finishWhole() {
      const ids = (await datastore.configstore.list?.().catch(() => [])) ?? []
      for (const id of ids) {
        try {
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

/** Metadata `video`: the id of the video whose source this replaces. */
function replacedVideo(metadata: Metadata): number | null {
  const given = metadata['video']
  return given && /^\d{1,15}$/.test(given) ? Number(given) : null
}

function fieldsOf(metadata: Metadata): Record<string, string | undefined> {
  const { title, description, category } = metadata
  return {
    title: title ?? undefined,
    description: description ?? undefined,
    category: category ?? undefined,
  }
}

/** The title was free when the upload began. If it no longer is, the bytes count for more than the name. */
async function finalFields(metadata: Metadata, library: Library) {
  const fields = fieldsOf(metadata)
  if (fields['title'] !== undefined)
    fields['title'] = await library.freeTitle(fields['title'].trim())
  return await readVideoFields(fields, metadata['filename'] ?? undefined, library)
}

const STATUS: Partial<Record<AppError['code'], number>> = {
  invalid: 400,
  not_found: 404,
  disk_full: 507,
  too_large: 413,
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
