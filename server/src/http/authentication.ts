import type { FastifyReply, FastifyRequest } from 'fastify'
import { readCookie, type CookieNames } from './cookies.ts'
import { AppError } from '../errors.ts'
import type { MayMonitor } from './monitor-access.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { Refusal, Viewer } from '../sessions/viewer.ts'

/**
 * Who may call a route. Every route says so, or the server does not start. `monitor` are those who watch over the
 * program; to anybody else such a route is not there.
 */
export type Access = 'public' | 'viewer' | 'superuser' | 'monitor'

const NOT_SIGNED_IN = { detail: 'Authentication credentials were not provided.' }

function tokenNotValid(message: string) {
  return {
    detail: 'Given token not valid for any token type',
    code: 'token_not_valid',
    messages: [{ token_class: 'AccessToken', token_type: 'access', message }],
  }
}

const REFUSALS: Record<Refusal, object> = {
  missing: NOT_SIGNED_IN,
  expired: tokenNotValid('Token is expired'),
  invalid: tokenNotValid('Token is invalid'),
  wrong_type: tokenNotValid('Token has wrong type'),
  user_inactive: { detail: 'User is inactive', code: 'user_inactive' },
  user_not_found: { detail: 'User not found', code: 'user_not_found' },
}

const NOT_FOUND = { detail: 'Not found.' }
const FORBIDDEN = { detail: 'You do not have permission to perform this action.' }

export interface Authentication {
  /** The fast way in: public, or a token that was checked a moment ago. False says nothing; ask `admit`. */
  recognise(request: FastifyRequest, access: Access): boolean
  /** Sets `request.viewer`, or answers 401, 403 or 404 and says false. */
  admit(request: FastifyRequest, reply: FastifyReply, access: Access): Promise<boolean>
}

export function createAuthentication(needs: {
  sessions: Sessions
  cookies: CookieNames
  mayMonitor: MayMonitor
}): Authentication {
  const { sessions, cookies, mayMonitor } = needs
  return {
    recognise(request, access) {
      if (access === 'public') return true
      if (access === 'monitor') return mayMonitor(request.raw)
      const token = accessTokenOf(request, cookies)
      const viewer = token === null ? null : sessions.recall(token)
      if (!viewer || (access === 'superuser' && !viewer.isSuperuser)) return false
      request.viewer = viewer
      return true
    },

    async admit(request, reply, access) {
      if (access === 'public') return true
      if (access === 'monitor') {
        const isAdmitted = mayMonitor(request.raw)
        if (!isAdmitted) reply.code(404).send(NOT_FOUND)
        return isAdmitted
      }
      const token = accessTokenOf(request, cookies)
      const viewer = token === null ? 'missing' : await sessions.check(token)
      if (typeof viewer === 'string') {
        reply.code(401).header('www-authenticate', 'Bearer realm="api"').send(REFUSALS[viewer])
        return false
      }
      if (access === 'superuser' && !viewer.isSuperuser) {
        reply.code(403).send(FORBIDDEN)
        return false
      }
      request.viewer = viewer
      return true
    },
  }
}

/** The cookie, if it is not empty, decides alone; else the Authorization header (RFC 6750 §2.1). */
export function accessTokenOf(request: FastifyRequest, cookies: CookieNames): string | null {
  const cookie = readCookie(request, cookies.accessName)
  if (cookie !== null) return cookie
  const match = /^bearer +(\S+)$/i.exec(request.headers.authorization ?? '')
  return match?.[1] ?? null
}

/** Whether the URL claims an authority of its own. Whether that is any good is for the route to find out. */
export function isSigned(request: FastifyRequest): boolean {
  return (request.query as Record<string, unknown>)['signature'] !== undefined
}

/** The viewer of a route that is not public. */
export function viewerOf(request: FastifyRequest): Viewer {
  if (!request.viewer) throw new AppError('unauthenticated', NOT_SIGNED_IN.detail)
  return request.viewer
}

/** Who does it and from where, as the audit log wants it. */
export function actorOf(request: FastifyRequest): { userId: number; address: string } {
  return { userId: viewerOf(request).userId, address: request.ip }
}
