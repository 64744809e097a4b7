import {
  adminVideo,
  detailError,
  directUpload,
  directUploadEnd,
  fieldErrors,
  newDirectUpload,
  partNumbers,
  partUrls,
} from '@videoflix/contract'
import { z } from 'zod'
import { AppError } from '../errors.ts'
import { actorOf } from '../http/authentication.ts'
import type { Server } from '../http/server.ts'
import type { AdminVideos } from '../videos/admin-videos.ts'
import type { DirectUploads } from './direct-uploads.ts'

const DIRECT_PATH = '/admin/api/direct-uploads/'
const withId = z.object({ id: z.string() })

/** Uploads in parts from the browser to the bucket; what they are is in `DirectUploads`. */
export function directUploadRoutes(
  server: Server,
  needs: { directUploads: DirectUploads; adminVideos: AdminVideos },
): void {
  const { directUploads, adminVideos } = needs
  const config = { access: 'superuser' } as const
  const tags = ['Administration']

  server.post(
    DIRECT_PATH,
    {
      config,
      schema: {
        tags,
        summary: 'Begin an upload straight to the bucket',
        description:
          'Only with USE_S3_MEDIA. The file is sent in parts of `part_size` bytes, in any order, several at once, each by a PUT to its URL.',
        body: newDirectUpload,
        response: { 201: directUpload, 400: fieldErrors, 413: detailError },
      },
    },
    async (request, reply) => {
      const upload = await directUploads.begin(request.body)
      reply.code(201).header('location', `${DIRECT_PATH}${upload.id}/`)
      return upload
    },
  )

  server.get(
    `${DIRECT_PATH}:id/`,
    {
      config,
      schema: {
        tags,
        summary: 'Which parts have arrived',
        params: withId,
        response: { 200: directUpload, 404: detailError },
      },
    },
    async (request) => await directUploads.describe(uploadId(request.params.id)),
  )

  server.post(
    `${DIRECT_PATH}:id/parts/`,
    {
      config,
      schema: {
        tags,
        summary: 'Where to send parts; each URL is good for an hour',
        params: withId,
        body: partNumbers,
        response: { 200: partUrls, 400: fieldErrors, 404: detailError, 409: detailError },
      },
    },
    async (request) => {
      const { numbers } = request.body
      return { parts: await directUploads.urlsOfParts(uploadId(request.params.id), numbers) }
    },
  )

  server.post(
    `${DIRECT_PATH}:id/complete/`,
    {
      config,
      schema: {
        tags,
        summary: 'Make a video of what was sent',
        description: 'May be repeated: it is the same video, or 409 once that was deleted.',
        params: withId,
        body: directUploadEnd,
        response: { 201: adminVideo, 400: fieldErrors, 404: detailError, 409: detailError },
      },
    },
    async (request, reply) => {
      const { params, body } = request
      const videoId = await directUploads.complete(uploadId(params.id), body, actorOf(request))
      reply.code(201).header('location', `/admin/api/videos/${videoId}/`)
      return await adminVideos.get(videoId)
    },
  )

  server.delete(
    `${DIRECT_PATH}:id/`,
    {
      config,
      schema: {
        tags,
        summary: 'Give an upload up',
        params: withId,
        response: { 204: z.null(), 404: detailError, 409: detailError },
      },
    },
    async (request, reply) => {
      await directUploads.abort(uploadId(request.params.id))
      return reply.code(204).send(null)
    },
  )
}

function uploadId(text: string): string {
  if (!/^[\w-]{22}$/.test(text)) throw new AppError('not_found', 'Not found.')
  return text
}
