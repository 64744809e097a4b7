import type { FastifyRequest } from 'fastify'
import type { Settings } from '../config/settings.ts'

/** RFC 9110 §7.2, without what no browser sends. */
const HOST = /^([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS'])

export interface OriginRules {
  /** Whether a page of this origin may read replies (CORS). */
  mayRead(origin: string): boolean
  /** Whether this request may change something: it comes from no page, from our own, or from one we trust. */
  mayChange(request: FastifyRequest): boolean
  /** Whether we answer to this Host header at all. */
  isOurHost(hostHeader: string | undefined): boolean
}

export function createOriginRules(
  settings: Pick<Settings, 'corsOrigins' | 'trustedOrigins' | 'allowedHosts'>,
  backendOrigin: string,
): OriginRules {
  const readers = new Set(settings.corsOrigins)
  const changers = new Set([...settings.corsOrigins, ...settings.trustedOrigins, backendOrigin])
  const hosts = settings.allowedHosts.map((host) => host.toLowerCase())
  // Anybody on the way can make a page there, and browsers send it the cookies of the real one.
  const forgeable = backendOrigin.startsWith('https:') ? `http:${backendOrigin.slice(6)}` : null

  return {
    mayRead: (origin) => readers.has(origin),

    mayChange(request) {
      if (SAFE_METHODS.has(request.method)) return true
      const { origin, host } = request.headers
      if (origin === undefined) return !isCrossSite(request)
      if (changers.has(origin) || origin === `https://${host}`) return true
      return origin === `http://${host}` && origin !== forgeable
    },

    isOurHost(hostHeader) {
      const name = HOST.exec(hostHeader ?? '')?.[1]?.toLowerCase()
      if (name === undefined) return false
      return hosts.some(
        (host) => host === '*' || host === name || (host.startsWith('.') && isBelow(name, host)),
      )
    },
  }
}

/** Fetch Metadata: browsers that send no Origin send this. */
function isCrossSite(request: FastifyRequest): boolean {
  const site = request.headers['sec-fetch-site']
  return site !== undefined && site !== 'same-origin' && site !== 'none'
}

function isBelow(name: string, dotted: string): boolean {
  return name === dotted.slice(1) || name.endsWith(dotted)
}
