import { createWriteStream } from 'node:fs'
import { access, readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { FileStore } from '@tus/file-store'
import type { Upload } from '@tus/server'
import type { Settings } from '../config/settings.ts'
import type { Intake } from './intake.ts'
import type { UploadPlace } from './place.ts'
import { asDiskFull, syncFile, type Staging } from './staging.ts'

/** A store whose acknowledged bytes are on the disk. */
class SyncedFileStore extends FileStore {
  override async getUpload(id: string): Promise<Upload> {
    const upload = await super.getUpload(id)
    const { mtime } = await stat(join(this.directory, id))
    // From which the library reckons the end: every byte puts it off, and what is whole becomes a video.
    const isWhole = upload.size !== undefined && upload.offset === upload.size
    return Object.assign(upload, { creation_date: isWhole ? undefined : mtime.toISOString() })
  }

  override async write(readable: Readable, uploadId: string, offset: number): Promise<number> {
    const path = join(this.directory, uploadId)
    const file = createWriteStream(path, { flags: 'r+', start: offset })
    try {
      await pipeline(readable, file)
    } catch (error) {
      throw asDiskFull(error)
    } finally {
      // What came before a cut counts as well: the next question for the offset tells it.
      await syncFile(path)
    }
    return offset + file.bytesWritten
  }
}

/** Uploads in the folder of staging, which servers of one site may share. */
export function folderPlace(needs: {
  settings: Settings['uploads']
  staging: Staging
  intake: Intake
}): UploadPlace {
  const { settings, staging, intake } = needs
  return {
    datastore: new SyncedFileStore({
      directory: settings.dir,
      expirationPeriodInMilliseconds: settings.ttlMs,
    }),
    assertRoomFor: (sizeBytes) => staging.assertRoomFor(sizeBytes),
    intake,
    remove: (uploadId) => staging.remove(uploadId),
    holds: (uploadId) => isThere(`${staging.pathOf(uploadId)}.json`),
    // As all that is in staging.
    removeAbandoned: () => Promise.resolve(),

    async listIds() {
      // The library's own list leaves out an upload whose bytes have been removed, but not its description.
      const names = await readdir(settings.dir).catch((): string[] => [])
      return names.filter((name) => name.endsWith('.json')).map((name) => basename(name, '.json'))
    },
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch (error) {
    // Of a disk that fails nobody may conclude that an upload has to begin anew.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}
