import multipart, { type MultipartFile } from '@fastify/multipart'
import { adminVideo, CATEGORIES, fieldErrors } from '@videoflix/contract'
import { errorCodes, type FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Settings } from '../config/settings.ts'
import { AppError, invalid } from '../errors.ts'
import { actorOf } from '../http/authentication.ts'
import type { Server } from '../http/server.ts'
import { newId } from '../ports/ids.ts'
import type { AdminVideos } from '../videos/admin-videos.ts'
import type { Library } from '../videos/library.ts'
import { idOf } from '../videos/routes.ts'
import type { Intake } from './intake.ts'
import type { Staging } from './staging.ts'
import { missingFile, readSha256, readVideoFields, shownFileName } from './upload-fields.ts'

const FIELD_BYTES = 64 * 1024
/** What a form may be longer than its file: fields and boundaries. */
const FORM_BYTES = 20 * FIELD_BYTES

/** The parts of the forms, for the documentation: they are read as they arrive. */
const FILE_PARTS = {
  video_file: { type: 'string', format: 'binary' },
  sha256: { type: 'string', description: 'Hexadecimal; compared with what arrives' },
}
const SOURCE_FORM = { type: 'object', required: ['video_file'], properties: FILE_PARTS }
const FILM_FORM = {
  type: 'object',
  required: ['video_file'],
  properties: {
    title: { type: 'string', description: 'Unique; the file’s name if absent' },
    description: { type: 'string' },
    category: { type: 'string', enum: CATEGORIES, default: 'Other' },
    ...FILE_PARTS,
  },
}

/** Uploads as `multipart/form-data` (RFC 7578), streamed to disk. */
export async function formUploadRoutes(
  server: Server,
  needs: {
    settings: Settings['uploads']
    staging: Staging
    intake: Intake
    library: Library
    adminVideos: AdminVideos
  },
): Promise<void> {
  const { settings, staging, intake, library, adminVideos } = needs
  await server.register(multipart, {
    limits: {
      files: 1,
      fields: 20,
      fieldSize: FIELD_BYTES,
      fileSize: settings.maxBytes,
      parts: 30,
    },
  })
  server.removeContentTypeParser('application/json')

  /** The form's fields, and its file in staging under `uploadId`. */
  async function receiveForm(
    request: FastifyRequest,
    uploadId: string,
  ): Promise<{ fields: Record<string, string>; fileName: string }> {
    assertMultipart(request)
    const announcedBytes = Number(request.headers['content-length'] ?? 0)
    if (announcedBytes > settings.maxBytes + FORM_BYTES) throw tooLarge()
    await staging.assertRoomFor(announcedBytes)
    try {
      return await readForm(request, uploadId)
    } catch (error) {
      // The client reads the answer only when it has sent what it wanted to.
      request.raw.unpipe()
      request.raw.resume()
      throw asFormError(error)
    }
  }

  async function readForm(
    request: FastifyRequest,
    uploadId: string,
  ): Promise<{ fields: Record<string, string>; fileName: string }> {
    const fields: Record<string, string> = {}
    let fileName: string | undefined
    for await (const part of request.parts()) {
      if (part.type === 'file' && part.fieldname === 'video_file' && fileName === undefined) {
        fileName = shownFileName(part.filename)
        await receiveFile(part, uploadId)
      } else if (part.type === 'file') {
        part.file.resume()
      } else {
        fields[part.fieldname] = String(part.value)
      }
    }
    if (fileName === undefined) throw missingFile()
    return { fields, fileName }
  }

  async function receiveFile(part: MultipartFile, uploadId: string): Promise<void> {
    await staging.receive(uploadId, part.file)
    if (part.file.truncated) throw tooLarge()
  }

  function tooLarge(): AppError {
    const limit = `${settings.maxBytes} bytes`
    return new AppError('too_large', `The file is larger than ${limit}: raise MAX_UPLOAD_BYTES.`)
  }

  /** Whatever fails, staging is clean. */

  async function stagedUpload<T>(work: (uploadId: string) => Promise<T>): Promise<T> {
    const uploadId = newId()
    try {
      return await work(uploadId)
    } catch (error) {
      await staging.remove(uploadId)
      throw error
    }
  }

  server.post(
    '/admin/api/videos/',
    {
      config: { access: 'superuser', documentedBody: FILM_FORM },
      schema: {
        tags: ['Administration'],
        summary: 'Upload a film',
        description:
          'Parts: `video_file` (the file), `title` (unique; the file’s name if absent), `description`, `category`.',
        consumes: ['multipart/form-data'],
        response: { 201: adminVideo, 400: fieldErrors },
      },
    },
    async (request, reply) => {
      const videoId = await stagedUpload(async (uploadId) => {
        const { fields, fileName } = await receiveForm(request, uploadId)
        const purpose = { fields: await readVideoFields(fields, fileName, library) }
        const sender = actorOf(request)
        const expectedSha256 = readSha256(fields['sha256'])
        return await intake({ uploadId, fileName, purpose, expectedSha256 }, sender)
      })
      reply.code(201).header('location', `/admin/api/videos/${videoId}/`)
      return await adminVideos.get(videoId)
    },
  )

  server.put(
    '/admin/api/videos/:id/source/',
    {
      config: { access: 'superuser', documentedBody: SOURCE_FORM },
      schema: {
        tags: ['Administration'],
        summary: 'Replace the file of a video',
        description: 'Part: `video_file`. The old version plays until the new one is ready.',
        consumes: ['multipart/form-data'],
        params: z.object({ id: z.string() }),
        response: { 200: adminVideo, 400: fieldErrors },
      },
    },
    async (request) => {
      const replaces = idOf(request.params.id, 'Not found.')
      await adminVideos.get(replaces)
      await stagedUpload(async (uploadId) => {
        const { fields, fileName } = await receiveForm(request, uploadId)
        const sender = actorOf(request)
        const expectedSha256 = readSha256(fields['sha256'])
        return await intake({ uploadId, fileName, purpose: { replaces }, expectedSha256 }, sender)
      })
      return await adminVideos.get(replaces)
    },
  )
}

function assertMultipart(request: FastifyRequest): void {
  if (request.isMultipart()) return
  throw new errorCodes.FST_ERR_CTP_INVALID_MEDIA_TYPE(request.headers['content-type'] ?? '')
}

const BROKEN_FORM = 'This is no whole form (multipart/form-data): send it again.'

/** The parser's errors are told apart by their having no code, or one of its own. */
function asFormError(error: unknown): unknown {
  const { code } = error as { code?: string }
  if (error instanceof AppError) return error
  if (code === 'FST_FILES_LIMIT') return invalid({ video_file: ['Send one file at a time.'] })
  if (code === undefined || code.startsWith('FST_')) {
    return invalid({ non_field_errors: [BROKEN_FORM] })
  }
  return error
}
