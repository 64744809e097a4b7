import type { FastifyReply } from 'fastify'

/** Our own pages: they load from this server alone, and no other page may frame them. */
const policy = (media: string, player: string): string =>
  [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    `img-src 'self' data:${media}`,
    `media-src 'self'${player}${media}`,
    `connect-src 'self'${media}`,
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ')

/**
 * Sends a page for people, with the status that the reply has. It is never kept by caches. A page that `hasPlayer` may
 * give a video element the film piece by piece, which has a `blob:` URL then (Media Source Extensions), and loads media
 * from `mediaOrigin` if that is not this server, and sends films there.
 */
export function sendPage(
  reply: FastifyReply,
  html: string,
  {
    hasPlayer = false,
    mediaOrigin = null,
  }: { hasPlayer?: boolean; mediaOrigin?: string | null } = {},
): FastifyReply {
  return reply
    .header(
      'content-security-policy',
      policy(mediaOrigin === null ? '' : ` ${mediaOrigin}`, hasPlayer ? ' blob:' : ''),
    )
    .header('cache-control', 'no-store')
    .type('text/html; charset=utf-8')
    .send(html)
}
