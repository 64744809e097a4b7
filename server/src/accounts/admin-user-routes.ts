import {
  adminUser,
  detailError,
  fieldErrors,
  MESSAGES,
  newUser,
  optionalText,
  userChanges,
} from '@videoflix/contract'
import { z } from 'zod'
import { AppError } from '../errors.ts'
import { actorOf } from '../http/authentication.ts'
import { pageOf, pageQuery, rowsOf, toPage } from '../http/paging.ts'
import type { Server } from '../http/server.ts'
import type { AdminUsers } from './admin-users.ts'

const PATH = '/admin/api/users/'
const USER_PATH = '/admin/api/users/:id/'

const ORDERINGS = ['-created_at', 'created_at', 'email', '-email'] as const

const fact = () =>
  z
    .enum(['true', 'false'], { error: MESSAGES.boolean })
    .transform((value) => value === 'true')
    .optional()

const listQuery = pageQuery.extend({
  search: optionalText(200).optional().describe('Part of the address'),
  is_active: fact(),
  is_superuser: fact(),
  ordering: z
    .enum(ORDERINGS, { error: ({ input }) => MESSAGES.choice(String(input)) })
    .default('-created_at'),
})

const params = z.object({ id: z.string().meta({ pattern: '^\\d+$' }) })

export function adminUserRoutes(
  server: Server,
  needs: { adminUsers: AdminUsers; backendOrigin: string },
): void {
  const { adminUsers, backendOrigin } = needs
  const config = { access: 'superuser' } as const
  const tags = ['Administration']

  server.get(
    PATH,
    {
      config,
      schema: {
        tags,
        summary: 'List, search and filter users',
        querystring: listQuery,
        response: { 200: pageOf(adminUser), 400: fieldErrors },
      },
    },
    async (request) => {
      const { ordering, search, is_active, is_superuser } = request.query
      const page = { ...rowsOf(request.query), ordering }
      const users = await adminUsers.list({ search, is_active, is_superuser }, page)
      return toPage(request, backendOrigin, request.query, users)
    },
  )

  server.post(
    PATH,
    {
      config,
      schema: {
        tags,
        summary: 'Make a user',
        description:
          'With a password the account is active at once. Without one, a link to choose it is sent by mail, and opening that activates the account.',
        body: newUser,
        response: { 201: adminUser, 400: fieldErrors },
      },
    },
    async (request, reply) =>
      await reply.code(201).send(await adminUsers.create(request.body, actorOf(request))),
  )

  server.get(
    USER_PATH,
    {
      config,
      schema: {
        tags,
        summary: 'One user',
        params,
        response: { 200: adminUser, 404: detailError },
      },
    },
    async (request) => await adminUsers.get(idOf(request.params.id)),
  )

  server.patch(
    USER_PATH,
    {
      config,
      schema: {
        tags,
        summary: 'Activate, deactivate, promote, demote or correct a user',
        description:
          'Deactivation ends the sessions of the user and voids the links in their mails. An account that was never confirmed has the password of whoever signed up: to activate it for the owner of the address, send a reset mail instead.',
        params,
        body: userChanges,
        response: { 200: adminUser, 400: fieldErrors, 404: detailError, 409: detailError },
      },
    },
    async (request) =>
      await adminUsers.edit(idOf(request.params.id), request.body, actorOf(request)),
  )

  server.delete(
    USER_PATH,
    {
      config,
      schema: {
        tags,
        summary: 'Delete a user with everything that is theirs',
        params,
        response: { 204: z.null(), 404: detailError, 409: detailError },
      },
    },
    async (request, reply) => {
      await adminUsers.delete(idOf(request.params.id), actorOf(request))
      return await reply.code(204).send(null)
    },
  )

  server.post(
    '/admin/api/users/:id/reset/',
    {
      config: { ...config, ignoresBody: true },
      schema: {
        tags,
        summary: 'Send a user a link to choose a new password',
        params,
        response: {
          200: z.object({ message: z.string() }),
          404: detailError,
          409: detailError,
        },
      },
    },
    async (request) => {
      await adminUsers.sendReset(idOf(request.params.id), actorOf(request))
      return { message: 'A reset link has been sent.' }
    },
  )
}

/** What is no id is not found: the path has no such resource. */
function idOf(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new AppError('not_found', 'Not found.')
  return Number(text)
}
