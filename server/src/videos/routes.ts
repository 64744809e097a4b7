import { Readable } from 'node:stream'
import { category, detailError, fieldErrors, optionalText, video } from '@videoflix/contract'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { validatorCompiler } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { AppError } from '../errors.ts'
import { acceptsGzip } from '../http/accepts-gzip.ts'
import { wholeNumberTo } from '../http/paging.ts'
import type { Server } from '../http/server.ts'
import { namesTag } from '../storage/entity-tag.ts'
import type { Catalogue, CataloguePage } from './catalogue.ts'

const MOST = 100

const listQuery = z.object({
  search: optionalText(200)
    .optional()
    .describe(
      'Words, or how they begin, in title and description; all of them have to be there. Case, accents and punctuation do not matter.',
    ),
  category: category.optional(),
  limit: wholeNumberTo(MOST)
    .optional()
    .meta({ type: 'integer', minimum: 1, maximum: MOST, default: 50 }),
  cursor: optionalText(100).optional().describe('Where the page before ended: follow its link'),
})

const readQuery = validatorCompiler({
  schema: listQuery,
  method: 'GET',
  url: '/content/',
  httpPart: 'querystring',
})

export function catalogueRoutes(
  server: Server,
  { catalogue, backendOrigin }: { catalogue: Catalogue; backendOrigin: string },
): void {
  server.get(
    '/content/',
    {
      config: { access: 'viewer' },
      schema: {
        tags: ['Catalogue'],
        summary: 'All videos, newest first; or a page of them',
        description:
          'Without parameters: all. With any of those below: a page, of those that match, with `Link: <…>; rel="next"` (RFC 8288) if there are more. Videos that are added or removed meanwhile neither repeat nor hide others. Other parameters are ignored.',
        querystring: listQuery,
        response: { 200: z.array(video), 400: fieldErrors },
      },
      // The whole list is asked for without a query, often, and there is nothing to look at.
      validatorCompiler: () => (query: object) =>
        isEmpty(query) ? { value: query } : readQuery(query),
      // The list is bytes already.
      serializerCompiler: () => (data) => JSON.stringify(data),
    },
    async (request, reply) => {
      const { query } = request
      if (isEmpty(query)) {
        return sendPage(request, reply, await catalogue.page())
      }
      const { page, next } = await catalogue.some({ ...query, limit: query.limit ?? 50 })
      if (next !== null) {
        const url = new URL(request.url, backendOrigin)
        url.searchParams.set('cursor', next)
        reply.header('link', `<${url.href}>; rel="next"`)
      }
      return sendPage(request, reply, page)
    },
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

function isEmpty(query: object): boolean {
  return Object.values(query).every((value) => value === undefined)
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
  // Fastify would read a stream to its end to answer HEAD.
  if (request.method === 'HEAD') return reply.send(Readable.from([]))
  return reply.send(page.body(isGzipped))
}
