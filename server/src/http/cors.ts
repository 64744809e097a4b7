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
const METHODS = ['DELETE', 'GET', 'OPTIONS', 'PATCH', 'POST', 'PUT']
const MAX_AGE_SECONDS = 86_400

/**
 * Cross-origin resource sharing (Fetch Standard §3.2) by exact match. An origin that is not allowed gets no
 * `access-control-*` header at all. Returns whether the request was a preflight that is answered now.
 */
export function shareWithOrigin(
  request: FastifyRequest,
  reply: FastifyReply,
  rules: { mayRead(origin: string): boolean; credentials: boolean },
): boolean {
  const { origin } = request.headers
  if (origin === undefined || !rules.mayRead(origin)) return false
  const isUpload = request.url.startsWith(UPLOAD_PATH)
  reply.header('access-control-allow-origin', origin)
  if (rules.credentials) reply.header('access-control-allow-credentials', 'true')
  if (isUpload) reply.header('access-control-expose-headers', UPLOAD_RESPONSE_HEADERS.join(', '))
  const isPreflight =
    request.method === 'OPTIONS' && request.headers['access-control-request-method'] !== undefined
  if (!isPreflight) return false
  reply.header('access-control-allow-methods', METHODS.join(', '))
  const allowed = isUpload ? UPLOAD_REQUEST_HEADERS : REQUEST_HEADERS
  reply.header('access-control-allow-headers', allowed.join(', '))
  reply.header('access-control-max-age', String(MAX_AGE_SECONDS))
  return true
}
