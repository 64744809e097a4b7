import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import type { FastifyRequest } from 'fastify'
import type { Database } from '../db/database.ts'
import type { Server } from '../http/server.ts'
import type { Clock } from '../ports/clock.ts'
import type { Board } from './board.ts'

export const TASK_BOARD_PATH = '/admin/queues/'

/** What the board’s page consists of. */
const FILES_DIR = join(
  dirname(fileURLToPath(import.meta.resolve('@bull-board/ui/package.json'))),
  'dist',
  'static',
)

/** It sets styles of its own, and reads from this server alone. */
const CSP = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'self'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Bull Board with the tasks of all lanes, for superusers. */
export async function taskBoardRoutes(
  server: Server,
  needs: { db: Database; clock: Clock },
): Promise<void> {
  const superusers = { config: { access: 'superuser' }, schema: { hide: true } } as const
  let loading: Promise<Board> | undefined
  const load = (): Promise<Board> =>
    (loading ??= import('./board.ts').then(({ createBoard }) =>
      createBoard({ ...needs, basePath: TASK_BOARD_PATH }),
    ))

  await server.register(async (scope) => {
    await scope.register(fastifyStatic, { root: FILES_DIR, serve: false })
    scope.get(`${TASK_BOARD_PATH}static/*`, superusers, (request, reply) =>
      reply.sendFile(restOf(request)),
    )
    scope.get(`${TASK_BOARD_PATH}api/*`, superusers, async (request, reply) => {
      const query = request.query as Record<string, unknown>
      const { status, body } = await (await load()).answer(`/api/${restOf(request)}`, query)
      return await reply.code(status).header('cache-control', 'no-store').send(body)
    })
    scope.get(`${TASK_BOARD_PATH}*`, superusers, async (_request, reply) =>
      reply
        .header('content-security-policy', CSP)
        .header('cache-control', 'no-store')
        .type('text/html; charset=utf-8')
        .send(await (await load()).page()),
    )
  })
}

function restOf(request: FastifyRequest): string {
  return (request.params as { '*': string })['*']
}
