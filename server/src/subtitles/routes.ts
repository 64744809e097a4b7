import multipart from '@fastify/multipart'
import { detailError, fieldErrors, subtitles, subtitlesChanges } from '@videoflix/contract'
import { z } from 'zod'
import { actorOf } from '../http/authentication.ts'
import type { Server } from '../http/server.ts'
import { idOf } from '../videos/routes.ts'
import { FORM_LIMITS, readSubtitlesForm, SUBTITLES_FORM } from './subtitles-form.ts'
import type { SubtitleLibrary } from './subtitles.ts'

const PATH = '/admin/api/videos/:id/subtitles/'
const ONE_PATH = '/admin/api/videos/:id/subtitles/:sid/'
const ofVideo = z.object({ id: z.string() })
const ofOne = z.object({ id: z.string(), sid: z.string() })

const config = { access: 'superuser' } as const
const tags = ['Administration']

export async function subtitleRoutes(
  server: Server,
  needs: { subtitleLibrary: SubtitleLibrary },
): Promise<void> {
  const { subtitleLibrary } = needs

  server.get(
    PATH,
    {
      config,
      schema: {
        tags,
        summary: 'The subtitles of a video',
        description: 'Those that were uploaded, and those that were found in its source.',
        params: ofVideo,
        response: { 200: z.array(subtitles), 404: detailError },
      },
    },
    async (request) => await subtitleLibrary.list(videoIdOf(request.params)),
  )

  server.patch(
    ONE_PATH,
    {
      config,
      schema: {
        tags,
        summary: 'Change language or label of subtitles',
        params: ofOne,
        body: subtitlesChanges,
        response: { 200: subtitles, 400: fieldErrors, 404: detailError },
      },
    },
    async (request) => {
      const { params, body } = request
      const id = idOf(params.sid, NOT_FOUND)
      return await subtitleLibrary.edit(videoIdOf(params), id, body, actorOf(request))
    },
  )

  server.delete(
    ONE_PATH,
    {
      config,
      schema: {
        tags,
        summary: 'Remove subtitles',
        params: ofOne,
        response: { 204: z.null(), 404: detailError },
      },
    },
    async (request, reply) => {
      const { params } = request
      const id = idOf(params.sid, NOT_FOUND)
      await subtitleLibrary.remove(videoIdOf(params), id, actorOf(request))
      return reply.code(204).send(null)
    },
  )

  await server.register(async (scope) => await uploadRoute(scope as unknown as Server, needs))
}

/** In a scope of its own, whose only bodies are forms. */
async function uploadRoute(
  server: Server,
  { subtitleLibrary }: { subtitleLibrary: SubtitleLibrary },
): Promise<void> {
  await server.register(multipart, FORM_LIMITS)
  server.removeContentTypeParser('application/json')

  server.post(
    PATH,
    {
      config: { ...config, documentedBody: SUBTITLES_FORM },
      schema: {
        tags,
        summary: 'Add subtitles to a video',
        description:
          'A SubRip or WebVTT file in UTF-8, UTF-16 or windows-1252. It is stored as clean WebVTT, and stays when the file of the video is replaced.',
        consumes: ['multipart/form-data'],
        params: ofVideo,
        response: { 201: subtitles, 400: fieldErrors, 404: detailError },
      },
    },
    async (request, reply) => {
      const videoId = videoIdOf(request.params)
      const { file, fields } = await readSubtitlesForm(request)
      const added = await subtitleLibrary.add(videoId, file, fields, actorOf(request))
      return await reply.code(201).send(added)
    },
  )
}

const NOT_FOUND = 'Not found.'

function videoIdOf({ id }: { id: string }): number {
  return idOf(id, NOT_FOUND)
}
