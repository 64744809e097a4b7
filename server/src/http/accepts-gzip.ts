import type { FastifyRequest } from 'fastify'

/** Whether the client takes gzip (RFC 9110 §12.5.3); `q=0` says that it does not. */
export function acceptsGzip({ headers }: FastifyRequest): boolean {
  return /\bgzip\b(?!\s*;\s*q=0(\.0*)?(,|$))/.test(headers['accept-encoding'] ?? '')
}
