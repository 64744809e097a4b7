import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'
import type { Client } from '../sessions/sessions.ts'

export function clientOf(request: FastifyRequest): Client {
  return { address: request.ip, userAgent: request.headers['user-agent'] ?? '' }
}

const FORWARDING = /^(x-forwarded-.+|x-real-ip|forwarded|via|.+-connecting-ip|(.+-)?client-ip)$/

/**
 * Whether the request was made on this very machine, by somebody who typed a loopback name: not through a proxy, and
 * not by a foreign page whose host name was made to point here.
 */
export function isLoopback(request: Pick<IncomingMessage, 'socket' | 'headers'>): boolean {
  const address = (request.socket.remoteAddress ?? '').replace(/^::ffff:/, '')
  if (address !== '::1' && !address.startsWith('127.')) return false
  if (Object.keys(request.headers).some((name) => FORWARDING.test(name))) return false
  const host = URL.parse(`http://${request.headers.host ?? ''}`)?.hostname ?? ''
  return host === 'localhost' || host === '[::1]' || /^127(\.\d+){3}$/.test(host)
}

/**
 * Leaves in X-Forwarded-For the addresses that can be counted: ports are taken off (some proxies write them), and what
 * stands left of a hop that is no address is nobody's word. Without it a client has as many names as it has ports.
 */
export function mendForwardedFor({ raw }: FastifyRequest): void {
  const hops = raw.headers['x-forwarded-for']
  if (hops === undefined) return
  const addresses: string[] = []
  for (const hop of [hops].flat().join(',').split(',').toReversed()) {
    const text = hop.trim()
    if (text === '') continue
    const address = addressIn(text)
    if (address === null) break
    addresses.unshift(address)
  }
  // Never removed: that there was one says that the request came by a proxy.
  raw.headers['x-forwarded-for'] = addresses.join(', ')
}

/** Of `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` and `[2001:db8::1]:80` the address; null for anything else. */
function addressIn(hop: string): string | null {
  if (isIP(hop) !== 0) return hop
  const [, inBrackets, before] = /^(?:\[([\da-f:.]+)\]|([\d.]+))(?::\d{1,5})?$/i.exec(hop) ?? []
  const address = inBrackets ?? before ?? ''
  return isIP(address) === 0 ? null : address
}
