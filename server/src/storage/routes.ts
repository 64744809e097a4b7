import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Database } from '../db/database.ts'
import { AppError } from '../errors.ts'
import type { Server } from '../http/server.ts'
import type { Clock } from '../ports/clock.ts'
import type { ObjectInfo, ObjectStore } from '../ports/object-store/object-store.ts'
import { selectRange } from './byte-range.ts'
import { findContentType } from './content-type.ts'
import { namesTag } from './entity-tag.ts'
import type { MediaUrls } from './media-urls.ts'

/** Sends local media to whoever has a signed URL: exact ranges (RFC 9110 §14), validators (§13), nothing active. */
export function mediaRoutes(
  server: Server,
  needs: {
    db: Database
    clock: Clock
    media: ObjectStore
    urls: MediaUrls
    urlPath: string
    /** Of a location of nginx with the same files; null without one. */
    accelPath: string | null
  },
): void {
  const { db, clock, media, urls, urlPath, accelPath } = needs

  server.route({
    // HEAD as well, or Fastify derives it from GET and says that there are 0 bytes.
    method: ['GET', 'HEAD'],
    url: `${urlPath}*`,
    config: { access: 'public' },
    schema: { hide: true },
    async handler(request, reply) {
      const key = urls.keyGrantedBy(request.raw.url ?? '', clock.now())
      if (key === null) {
        throw new AppError('forbidden', 'This link is not valid any more: ask for the video again.')
      }
      const contentType = await findContentType(db, key)
      const object = contentType === null ? null : await media.find(key)
      if (contentType === null || object === null) throw new AppError('not_found', 'Not found.')
      describe(reply, object, contentType)
      if (accelPath === null) return await sendObject(request, reply, media, object)
      return handToNginx(reply, `${accelPath}${key}`)
    },
  })
}

function describe(reply: FastifyReply, object: ObjectInfo, contentType: string): void {
  reply.headers({
    'content-type': contentType,
    'accept-ranges': 'bytes',
    etag: etagOf(object),
    'last-modified': object.modifiedAt.toUTCString(),
    'cache-control': 'private, max-age=3600, immutable',
    'content-security-policy': "default-src 'none'; sandbox",
  })
}

/** nginx looks at ranges and conditions itself, and makes validators of its own. A key needs no escapes. */
function handToNginx(reply: FastifyReply, target: string): FastifyReply {
  for (const name of ['accept-ranges', 'etag', 'last-modified']) reply.removeHeader(name)
  return reply.header('x-accel-redirect', target).send('')
}

/** Strong: an object never changes under its key. */
function etagOf({ key, sizeBytes }: ObjectInfo): string {
  return `"${createHash('sha256').update(`${key}\n${sizeBytes}`).digest('base64url').slice(0, 27)}"`
}

async function sendObject(
  request: FastifyRequest,
  reply: FastifyReply,
  media: ObjectStore,
  object: ObjectInfo,
): Promise<FastifyReply> {
  if (isUnchanged(request, object)) return reply.code(304).send()
  const { range: header } = request.headers
  const isWhole = request.method === 'HEAD' || !mayUseRange(request, object)
  const range = isWhole ? null : selectRange(header, object.sizeBytes)
  if (range === 'unsatisfiable') {
    reply.removeHeader('etag').removeHeader('last-modified').removeHeader('cache-control')
    return reply
      .code(416)
      .header('content-range', `bytes */${object.sizeBytes}`)
      .type('application/json; charset=utf-8')
      .send({ detail: 'The file has no such range.' })
  }
  const { start, end } = range ?? { start: 0, end: object.sizeBytes - 1 }
  reply.header('content-length', end - start + 1)
  if (range) reply.code(206).header('content-range', `bytes ${start}-${end}/${object.sizeBytes}`)
  if (request.method === 'HEAD') return reply.send()
  return reply.send(await media.read(object.key, { start, end }))
}

/** RFC 9110 §13.1.2 and §13.1.3 */
function isUnchanged(request: FastifyRequest, object: ObjectInfo): boolean {
  const { 'if-none-match': tags, 'if-modified-since': since } = request.headers
  if (tags !== undefined) return namesTag(tags, etagOf(object))
  if (since === undefined) return false
  return Math.floor(object.modifiedAt.getTime() / 1000) * 1000 <= Date.parse(since)
}

/** RFC 9110 §13.1.5: only the exact, strong validator lets a range be used. */
function mayUseRange(request: FastifyRequest, object: ObjectInfo): boolean {
  const condition = request.headers['if-range']
  if (condition === undefined) return true
  const value = String(condition)
  return value.startsWith('"')
    ? value === etagOf(object)
    : value === object.modifiedAt.toUTCString()
}
