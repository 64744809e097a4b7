import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { MESSAGES } from '@videoflix/contract'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { isForeignKeyViolation } from '../db/database.ts'
import { AppError, throttled, type ErrorCode } from '../errors.ts'

/** The one map from what went wrong to a status. */
const STATUS: Record<ErrorCode, number> = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  too_large: 413,
  throttled: 429,
  disk_full: 507,
  unavailable: 503,
  misconfigured: 500,
}

/** Under which name a route puts a sentence: part of its contract. */
export type ErrorShape = 'detail' | 'error' | 'message'

interface Issue {
  path: PropertyKey[]
  message: string
  code?: string
  input?: unknown
}

/** Answers any error. What we do not know goes to the log whole, and to the client not at all. */
export async function sendError(
  error: FastifyError | AppError | Error,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  if (reply.raw.headersSent) {
    request.log.warn({ err: error, request: request.id }, 'failed while replying')
    reply.raw.destroy()
    return
  }
  if (error instanceof AppError) return sendAppError(error, request, reply)
  if (isForeignKeyViolation(error)) {
    request.log.warn({ err: error, request: request.id }, 'deleted meanwhile')
    return sendAppError(deletedMeanwhile(error), request, reply)
  }
  const known = fromFastify(error as FastifyError, request)
  if (known) {
    await reply.code(known.status).send(known.body)
    return
  }
  request.log.error({ err: error, request: request.id }, 'internal error')
  await reply
    .code(500)
    .send({ detail: `Something went wrong here. It is in the log as ${request.id}.` })
}

function deletedMeanwhile(cause: Error): AppError {
  const message = 'What this belongs to was deleted a moment ago. Load it again.'
  return new AppError('conflict', message, { cause })
}

async function sendAppError(
  error: AppError,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const status = STATUS[error.code]
  // Whom we send away on purpose is no news: a flood must not flood the log as well.
  const isOnPurpose = error.retryAfterSeconds !== undefined
  if (status >= 500 && !isOnPurpose) {
    request.log.error({ err: error, request: request.id }, error.message)
  }
  const seconds = error.retryAfterSeconds ?? (status === 503 ? 5 : undefined)
  if (seconds !== undefined) reply.header('retry-after', String(Math.ceil(seconds)))
  const shape = request.routeOptions.config.errorShape ?? 'detail'
  await reply.code(status).send(error.fields ?? { [shape]: error.message })
}

function fromFastify(
  error: FastifyError & { validation?: unknown },
  request: FastifyRequest,
): { status: number; body: unknown } | null {
  if (Array.isArray(error.validation)) {
    return { status: 400, body: fieldErrors(error.validation, request.body) }
  }
  if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    const type = request.headers['content-type'] ?? ''
    return { status: 415, body: { detail: `Unsupported media type "${type}" in request.` } }
  }
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE' || error.statusCode === 413) {
    return { status: 413, body: { detail: 'The body is larger than is accepted here.' } }
  }
  if (error.code === 'FST_ERR_BAD_URL' || error.code === 'FST_ERR_MAX_PARAM_LENGTH') {
    return { status: 404, body: { detail: 'Not found.' } }
  }
  if (error instanceof SyntaxError || error.code === 'FST_ERR_CTP_INVALID_JSON_BODY') {
    return { status: 400, body: { detail: `JSON parse error - ${error.message}` } }
  }
  const status = error.statusCode ?? 500
  return status >= 400 && status < 500 ? { status, body: { detail: error.message } } : null
}

/** What the rate limiter throws: `detail` on every route, whatever its own shape of errors. */
export function rateLimited(seconds: number): Error & { statusCode: number } {
  return Object.assign(new Error(throttled(seconds).message), { statusCode: 429 })
}

const BROKEN: Record<string, number> = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 }

/** Bytes that are no HTTP request never become one of Fastify's: they are answered on the socket. */
export function answerBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const status = BROKEN[error.code ?? ''] ?? 400
  const body = JSON.stringify({ detail: `${STATUS_CODES[status]}.` })
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${body.length}\r\nVary: Origin\r\nConnection: close\r\n\r\n${body}`,
  )
  // Whoever does not hang up is hung up on.
  setTimeout(() => socket.destroy(), LINGER_MS).unref()
}

/** Long enough to be read before the connection goes. */
const LINGER_MS = 1000

interface Validation {
  params?: { issue?: Issue } | undefined
  instancePath: string
  message?: string
}

/** `{field: [messages]}` as Django REST framework has it. */
function fieldErrors(issues: Validation[], body: unknown): Record<string, string[]> {
  const fields: Record<string, string[]> = {}
  for (const { instancePath, message } of issues) {
    const name = instancePath.split('/')[1]
    if (!name) return { non_field_errors: [notADictionary(body)] }
    ;(fields[name] ??= []).push(message ?? MESSAGES.string)
  }
  return fields
}

function notADictionary(body: unknown): string {
  return `Invalid data. Expected a dictionary, but got ${pythonTypeOf(body)}.`
}

/** The clients were written against messages that name Python's types. */
function pythonTypeOf(value: unknown): string {
  if (Array.isArray(value)) return 'list'
  if (value === null) return 'NoneType'
  if (typeof value === 'string') return 'str'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float'
  return typeof value
}
