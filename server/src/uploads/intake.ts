import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import type { VideoFields } from '@videoflix/contract'
import { AppError, invalid } from '../errors.ts'
import type { ObjectStore } from '../ports/object-store/object-store.ts'
import type { Actor, Library } from '../videos/library.ts'
import type { StoredOriginal } from '../videos/video-sources.ts'
import { sha256Of, type Staging } from './staging.ts'

const MIB = 1024 * 1024

/** A whole file in staging, and what its sender said about it. */
interface FinishedUpload {
  uploadId: string
  fileName: string
  /** What it is to become: a new video, or the next source of one. */
  purpose: { fields: VideoFields } | { replaces: number }
  /** From `readSha256`; compared with the bytes. */
  expectedSha256: string | null
}

/**
 * Turns a whole upload into a video and its task. May be repeated, and be cut off anywhere: the bytes are stored under
 * the upload's own key first, the rows that make them a video are one transaction, and staging is emptied last.
 * Throws `invalid` for an empty file, a wrong checksum or a taken title, `not_found` when there is no video to replace.
 */
export type Intake = (upload: FinishedUpload, sender: Actor) => Promise<number>

export function createIntake(needs: {
  staging: Staging
  originals: ObjectStore
  library: Library
}): Intake {
  const { staging, originals, library } = needs
  return async (upload, sender) => {
    const { uploadId, purpose } = upload
    const known = await library.findByUpload(uploadId)
    if (known !== null) return known

    try {
      const original = await storeOriginal(upload)
      const videoId = await admit(library, original, purpose, sender)
      await staging.remove(uploadId)
      return videoId
    } catch (error) {
      // Somebody else may have finished the same upload meanwhile, and taken the file out of staging.
      const winner = await library.findByUpload(uploadId)
      if (winner !== null) return winner
      if (error instanceof AppError && isFinal(error)) await originals.delete(uploadId)
      throw error
    }
  }

  async function storeOriginal(upload: FinishedUpload): Promise<StoredOriginal> {
    const { uploadId, fileName } = upload
    const path = staging.pathOf(uploadId)
    const { size: sizeBytes } = await stat(path)
    if (sizeBytes === 0) throw emptyFile()
    const { expectedSha256 } = upload
    const sha256 =
      expectedSha256 === null
        ? null
        : await checkedSha256(createReadStream(path, { highWaterMark: MIB }), expectedSha256)
    await originals.putFile(uploadId, path)
    return { uploadId, objectKey: uploadId, fileName, sizeBytes, sha256 }
  }
}

/** Makes of a stored original what it is to become, and gives the video's id. */
export async function admit(
  library: Library,
  original: StoredOriginal,
  purpose: FinishedUpload['purpose'],
  sender: Actor,
): Promise<number> {
  return 'fields' in purpose
    ? await library.add(original, purpose.fields, sender)
    : await library.replaceSource(original, purpose.replaces, sender)
}

/** Whether the same upload can never become a video. */
export function isFinal({ code }: AppError): boolean {
  return code === 'invalid' || code === 'not_found'
}

/** The SHA-256 itself. Throws `invalid` when it is another. */
export async function checkedSha256(bytes: Readable, expected: string): Promise<string> {
  const actual = await sha256Of(bytes)
  if (actual === expected) return actual
  throw invalid({
    sha256: [`The file that arrived has another SHA-256 (${actual}): send it again.`],
  })
}

/** Another request has the upload now, of the same client as a rule. */
export function takenOver(): AppError {
  return new AppError('conflict', 'Somebody else has gone on with this upload: ask for its offset.')
}

export function emptyFile(): Error {
  return invalid({ video_file: ['The submitted file is empty.'] })
}
