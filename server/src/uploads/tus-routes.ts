import type { FastifyReply, FastifyRequest } from 'fastify'
import { viewerOf } from '../http/authentication.ts'
import type { Server } from '../http/server.ts'
import type { SourceRow } from '../db/tables.ts'
import type { Database } from '../db/database.ts'
import { TUS_PATH, type TusUploads } from './tus.ts'

const DOCS = {
  tags: ['Administration'],
  description:
    'Resumable upload, protocol tus 1.0.0. Metadata: `filename`, `title`, `description`, `category`, `sha256` (hexadecimal, checked at the end), `video` (id of a video whose file this replaces). The reply to the last chunk has the video’s id in `X-Video-Id`.',
}

export function tusRoutes(server: Server, needs: { db: Database; uploads: TusUploads }): void {
  const { db, uploads } = needs
  server.addContentTypeParser('application/offset+octet-stream', (_request, _body, done) =>
    done(null),
  )

  /** Hands the sockets over; what our edge has put on the reply goes along. */
  async function handOver(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    for (const [name, value] of Object.entries(reply.getHeaders())) {
      if (value !== undefined) reply.raw.setHeader(name, value)
    }
    uploads.identify(request.raw, { userId: viewerOf(request).userId, address: request.ip })
    reply.hijack()
    await uploads.server.handle(request.raw, reply.raw)
  }

  const config = { access: 'superuser' } as const
  server.post(`${TUS_PATH}/`, { config, schema: { ...DOCS, summary: 'Begin an upload' } }, handOver)

  server.route({
    method: ['HEAD', 'PATCH', 'DELETE'],
    url: `${TUS_PATH}/:id`,
    config,
    schema: { ...DOCS, summary: 'Continue, ask about, or end an upload' },
    async handler(request, reply) {
      const { id } = request.params as { id: string }
      const source = await findFinished(db, id)
      if (source) return replyFinished(request, reply, source)
      return await handOver(request, reply)
    },
  })

  // What a client may ask before it begins; nothing in it is secret.
  server.options(`${TUS_PATH}/`, { schema: { hide: true } }, (_request, reply) =>
    reply
      .code(204)
      .headers({
        'tus-resumable': '1.0.0',
        'tus-version': '1.0.0',
        'tus-extension': 'creation,creation-with-upload,termination,expiration',
      })
      .send(),
  )
}

async function findFinished(
  db: Database,
  uploadId: string,
): Promise<Pick<SourceRow, 'video_id' | 'size_bytes'> | undefined> {
  return await db
    .selectFrom('sources')
    .select(['video_id', 'size_bytes'])
    .where('upload_id', '=', uploadId)
    .executeTakeFirst()
}

/** A client that lost the last reply asks again, and is told the same. */
function replyFinished(
  request: FastifyRequest,
  reply: FastifyReply,
  source: Pick<SourceRow, 'video_id' | 'size_bytes'>,
): FastifyReply {
  reply.headers({
    'tus-resumable': '1.0.0',
    'upload-offset': source.size_bytes,
    'upload-length': source.size_bytes,
    'x-video-id': source.video_id,
    'cache-control': 'no-store',
  })
  if (request.method === 'HEAD') return reply.code(200).send()
  if (request.method === 'DELETE') {
    return reply.code(403).send({ detail: 'This upload is a video by now: delete that.' })
  }
  const isAtEnd = request.headers['upload-offset'] === String(source.size_bytes)
  return reply.code(isAtEnd ? 204 : 409).send()
}
