import {
  adminVideo,
  CATEGORIES,
  detailError,
  fieldErrors,
  MESSAGES,
  optionalText,
  PROCESSING_STATES,
  videoChanges,
} from '@videoflix/contract'
import { z } from 'zod'
import { actorOf } from '../http/authentication.ts'
import { pageOf, pageQuery, rowsOf, toPage } from '../http/paging.ts'
import type { Server } from '../http/server.ts'
import type { AdminVideos } from './admin-videos.ts'
import type { Library } from './library.ts'
import { idOf } from './routes.ts'

const withId = z.object({ id: z.string() })

function oneOf<const T extends readonly [string, ...string[]]>(choices: T) {
  return z.enum(choices, { error: ({ input }) => MESSAGES.choice(String(input)) })
}

const listQuery = pageQuery.extend({
  search: optionalText(200).optional().describe('In title and description'),
  category: oneOf(CATEGORIES).optional(),
  state: oneOf(PROCESSING_STATES).optional(),
  ordering: oneOf(['-created_at', 'created_at', 'title', '-title']).default('-created_at'),
})

export function adminVideoRoutes(
  server: Server,
  needs: { adminVideos: AdminVideos; library: Library; backendOrigin: string },
): void {
  const { adminVideos, library, backendOrigin } = needs
  const config = { access: 'superuser' } as const
  const tags = ['Administration']

  server.get(
    '/admin/api/videos/',
    {
      config,
      schema: {
        tags,
        summary: 'List, search and filter videos',
        querystring: listQuery,
        response: {
          200: pageOf(adminVideo),
          400: fieldErrors,
        },
      },
    },
    async (request) => {
      const { query } = request
      const { ordering, search, category, state } = query
      const filter = { search, category, state }
      const page = await adminVideos.list(filter, { ...rowsOf(query), ordering })
      return toPage(request, backendOrigin, query, page)
    },
  )

  server.get(
    '/admin/api/videos/:id/',
    {
      config,
      schema: {
        tags,
        summary: 'One video, with its source and progress',
        params: withId,
        response: { 200: adminVideo, 404: detailError },
      },
    },
    async (request) => await adminVideos.get(idOf(request.params.id, 'Not found.')),
  )

  server.patch(
    '/admin/api/videos/:id/',
    {
      config,
      schema: {
        tags,
        summary: 'Change title, description or category',
        params: withId,
        body: videoChanges,
        response: { 200: adminVideo, 400: fieldErrors, 404: detailError },
      },
    },
    async (request) => {
      const id = idOf(request.params.id, 'Not found.')
      await library.edit(id, request.body, actorOf(request))
      return await adminVideos.get(id)
    },
  )

  server.delete(
    '/admin/api/videos/:id/',
    {
      config,
      schema: {
        tags,
        summary: 'Delete a video with everything that belongs to it',
        params: withId,
        response: { 204: z.null(), 404: detailError },
      },
    },
    async (request, reply) => {
      const id = idOf(request.params.id, 'Not found.')
      await library.remove(id, actorOf(request))
      return reply.code(204).send(null)
    },
  )

  server.post(
    '/admin/api/videos/:id/retry/',
    {
      config,
      schema: {
        tags,
        summary: 'Process the newest source again',
        params: withId,
        response: { 200: adminVideo, 404: detailError, 409: detailError },
      },
    },
    async (request) => {
      const id = idOf(request.params.id, 'Not found.')
      await library.retry(id)
      return await adminVideos.get(id)
    },
  )
}
