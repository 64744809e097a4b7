import { detailError, video } from '@videoflix/contract'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { AppError } from '../errors.ts'
import { acceptsGzip } from '../http/accepts-gzip.ts'
import type { Server } from '../http/server.ts'
import { namesTag } from '../storage/entity-tag.ts'
import type { Catalogue, CataloguePage } from './catalogue.ts'

export function catalogueRoutes(server: Server, catalogue: Catalogue): void {
  server.get(
    '/content/',
    {
      config: { access: 'viewer' },
      schema: {
        tags: ['Catalogue'],
        summary: 'All videos, newest first',
        response: { 200: z.array(video) },
      },
      // The page is bytes already.
      serializerCompiler: () => (bytes) => bytes as string,
    },
    async (request, reply) => sendPage(request, reply, await catalogue.page()),
  )

  server.get(
    '/content/:id/',
    {
      config: { access: 'viewer' },
      schema: {
        tags: ['Catalogue'],
        summary: 'One video',
        params: z.object({ id: z.string() }),
        response: { 200: video, 404: detailError },
      },
    },
    async (request) => await catalogue.video(idOf(request.params.id, 'Not found.')),
  )

  server.get(
    '/content/video-url/:id/',
    {
      config: { access: 'viewer' },
      schema: {
        tags: ['Catalogue'],
        summary: 'A signed URL to play',
        description:
          'The quality asked for, or the nearest there is below it; without `quality` the best. Plays as `video/mp4` without cookies. `auto` gives the HLS master playlist, for players that choose by themselves.',
        params: z.object({ id: z.string() }),
        querystring: z.object({
          quality: z
            .union([z.string(), z.array(z.string()).transform((all) => all.at(-1) ?? '')])
            .optional()
            .meta({ type: 'string', enum: ['auto', '120p', '360p', '720p', '1080p'] }),
        }),
        response: { 200: z.object({ url: z.string() }), 404: detailError },
      },
    },
    async (request) => ({
      url: await catalogue.playbackUrl(
        idOf(request.params.id, 'Video not found'),
        request.query.quality,
      ),
    }),
  )
}

/** What is no id is not found: the path has no such resource. */
export function idOf(text: string, message: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new AppError('not_found', message)
  return Number(text)
}

function sendPage(request: FastifyRequest, reply: FastifyReply, page: CataloguePage): FastifyReply {
  const isGzipped = acceptsGzip(request)
  const etag = isGzipped ? page.gzippedEtag : page.etag
  reply.header('etag', etag).header('vary', 'Origin, Accept-Encoding')
  reply.header('cache-control', 'private, no-cache')
  const known = request.headers['if-none-match']
  if (known !== undefined && namesTag(known, etag)) return reply.code(304).send()
  reply.header('content-type', 'application/json; charset=utf-8')
  if (isGzipped) reply.header('content-encoding', 'gzip')
  return reply.send(isGzipped ? page.gzipped : page.json)
}
