import type { FastifyRequest } from 'fastify'
import type { Client } from '../sessions/sessions.ts'

export function clientOf(request: FastifyRequest): Client {
  return { address: request.ip, userAgent: request.headers['user-agent'] ?? '' }
}

const FORWARDING = ['x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'forwarded', 'via'] as const

/**
 * Whether the request was made on this very machine, by somebody who typed a loopback name: not through a proxy, and
 * not by a foreign page whose host name was made to point here.
 */
export function isLoopback(request: FastifyRequest): boolean {
  const address = (request.socket.remoteAddress ?? '').replace(/^::ffff:/, '')
  if (address !== '::1' && !address.startsWith('127.')) return false
  if (FORWARDING.some((name) => request.headers[name] !== undefined)) return false
  const host = URL.parse(`http://${request.headers.host ?? ''}`)?.hostname ?? ''
  return host === 'localhost' || host === '[::1]' || /^127(\.\d+){3}$/.test(host)
}
