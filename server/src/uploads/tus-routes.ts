import type { IncomingMessage } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { AppError } from '../errors.ts'
import { actorOf } from '../http/authentication.ts'
import type { Server } from '../http/server.ts'
import type { SourceRow } from '../db/tables.ts'
import type { Database } from '../db/database.ts'
import { sendWebResponse } from './tus-exchange.ts'
import { TUS_PATH, type TusUploads } from './tus.ts'

const DOCS = {
  tags: ['Administration'],
  description:
    'Resumable upload, protocol tus 1.0.0. Metadata: `filename`, `title`, `description`, `category`, `sha256` (hexadecimal, checked at the end), `video` (id of a video whose file this replaces). The reply to the last chunk has the video’s id in `X-Video-Id`.',
}

export function tusRoutes(server: Server, needs: { db: Database; uploads: TusUploads }): void {
  const { db, uploads } = needs
  const open = new Set<IncomingMessage>()
  // The client comes back and goes on where it was: no reason to wait for it.
  server.addHook('preClose', (done) => {
    for (const request of open) request.destroy(new Error('the server is closing'))
    done()
  })
  server.addContentTypeParser('application/offset+octet-stream', (_request, _body, done) =>
    done(null),
  )

  async function answer(request: FastifyRequest): Promise<Response> {
    const sender = actorOf(request)
    open.add(request.raw)
    try {
      return await uploads.answer(request.raw, sender)
    } finally {
      open.delete(request.raw)
    }
  }

  const config = { access: 'superuser' } as const
  server.post(
    `${TUS_PATH}/`,
    { config, schema: { ...DOCS, summary: 'Begin an upload' } },
    async (request, reply) => await sendWebResponse(reply, await answer(request)),
  )

  server.route({
    method: ['HEAD', 'PATCH', 'DELETE'],
    url: `${TUS_PATH}/:id`,
    config,
    schema: { ...DOCS, summary: 'Continue, ask about, or end an upload' },
    async handler(request, reply) {
      const { id } = request.params as { id: string }
      if (!isUploadId(id)) throw new AppError('not_found', 'Not found.')
      const before = await findFinished(db, id)
      if (before) return replyFinished(request, reply, before)
      const response = await answer(request)
      // Another request may have finished it while this one waited for its turn.
      const meanwhile = response.status < 400 ? undefined : await findFinished(db, id)
      if (meanwhile) return replyFinished(request, reply, meanwhile)
      return await sendWebResponse(reply, response)
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
        'tus-max-size': uploads.maxBytes,
      })
      .send(),
  )
}

function isUploadId(text: string): boolean {
  return /^[\w-]{22}$/.test(text)
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
