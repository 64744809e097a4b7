import type { FastifyReply, FastifyRequest } from 'fastify'

/** Exactly what the web client may send. */
const REQUEST_HEADERS = [
  'accept',
  'authorization',
  'content-type',
  'user-agent',
  'x-csrftoken',
  'x-requested-with',
  'x-retry',
]

/** What uploads by tus add to that, and what its clients must be able to read. */
const UPLOAD_PATH = '/admin/api/uploads/'
const UPLOAD_REQUEST_HEADERS = [
  ...REQUEST_HEADERS,
  'tus-resumable',
  'upload-length',
  'upload-metadata',
  'upload-offset',
]
const UPLOAD_RESPONSE_HEADERS = [
  'location',
  'tus-resumable',
  'tus-version',
  'tus-extension',
  'tus-max-size',
  'upload-length',
  'upload-metadata',
  'upload-offset',
  'upload-expires',
  'x-video-id',
]

/** What players send for parts of a film (RFC 9110 §14), and what they must be able to read of the answer. */
const PLAYBACK_PATH = /^\/content\/\d+\/(?:\d+\/)?[\w-]+\.(?:m3u8|mpd|vtt)(?:\?|$)/
const PLAYBACK_REQUEST_HEADERS = [...REQUEST_HEADERS, 'range']
const PLAYBACK_RESPONSE_HEADERS = ['accept-ranges', 'content-length', 'content-range', 'etag']

/** A page of the list of videos tells where the next one is. */
const LIST_PATH = /^\/content\/\?/
const LIST_RESPONSE_HEADERS = ['link']

const METHODS = ['DELETE', 'GET', 'OPTIONS', 'PATCH', 'POST', 'PUT']
const MAX_AGE_SECONDS = 86_400

interface Lists {
  request: string[]
  response: string[]
}

/** What may be sent to a path, and read of its answer, beyond what is always allowed. */
function listsFor(path: string, mediaPath: string): Lists {
  if (path.startsWith(UPLOAD_PATH)) {
    return { request: UPLOAD_REQUEST_HEADERS, response: UPLOAD_RESPONSE_HEADERS }
  }
  if (path.startsWith(mediaPath) || PLAYBACK_PATH.test(path)) {
    return { request: PLAYBACK_REQUEST_HEADERS, response: PLAYBACK_RESPONSE_HEADERS }
  }
  const response = LIST_PATH.test(path) ? LIST_RESPONSE_HEADERS : []
  return { request: REQUEST_HEADERS, response }
}

/**
 * Cross-origin resource sharing (Fetch Standard §3.2) by exact match. An origin that is not allowed gets no
 * `access-control-*` header at all. Returns whether the request was a preflight that is answered now.
 */
export function shareWithOrigin(
  request: FastifyRequest,
  reply: FastifyReply,
  rules: { mayRead(origin: string): boolean; credentials: boolean; mediaPath: string },
): boolean {
  const { origin } = request.headers
  if (origin === undefined || !rules.mayRead(origin)) return false
  const lists = listsFor(request.url, rules.mediaPath)
  reply.header('access-control-allow-origin', origin)
  if (rules.credentials) reply.header('access-control-allow-credentials', 'true')
  if (lists.response.length > 0) {
    reply.header('access-control-expose-headers', lists.response.join(', '))
  }
  const isPreflight =
    request.method === 'OPTIONS' && request.headers['access-control-request-method'] !== undefined
  if (!isPreflight) return false
  reply.header('access-control-allow-methods', METHODS.join(', '))
  reply.header('access-control-allow-headers', lists.request.join(', '))
  reply.header('access-control-max-age', String(MAX_AGE_SECONDS))
  return true
}
