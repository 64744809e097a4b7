/**
 * The ways in which a request to the domain can fail. `http/errors.ts` maps each to a status once;
 * the domain never names a status, and nobody matches on the message.
 */
export type ErrorCode =
  | 'invalid' // the input breaks a rule; `fields` says which
  | 'unauthenticated' // nobody is signed in, or the proof of it is no good
  | 'forbidden' // signed in, but not allowed
  | 'not_found' // absent, or not the caller's to see
  | 'conflict' // true a moment ago, no longer: read again
  | 'too_large' // more bytes than are accepted
  | 'throttled' // too many; `retryAfterSeconds` says when
  | 'disk_full' // no room for what was sent
  | 'unavailable' // a service we need is away; trying later helps
  | 'misconfigured' // the operator has to change something

interface Details {
  cause?: unknown
  /** Messages by field name of the input; `non_field_errors` for the whole. */
  fields?: Record<string, string[]>
  retryAfterSeconds?: number
}

/** An expected failure, told in a sentence that may be shown to whoever caused it. */
export class AppError extends Error {
  readonly code: ErrorCode
  readonly fields: Record<string, string[]> | undefined
  readonly retryAfterSeconds: number | undefined

  constructor(code: ErrorCode, message: string, details: Details = {}) {
    super(message, { cause: details.cause })
    this.name = 'AppError'
    this.code = code
    this.fields = details.fields
    this.retryAfterSeconds = details.retryAfterSeconds
  }
}

export function invalid(fields: Record<string, string[]>): AppError {
  const [first = ['Invalid input.']] = Object.values(fields)
  return new AppError('invalid', first[0] ?? 'Invalid input.', { fields })
}

/** In the words of the original, which clients know; whole seconds, at least one. */
export function throttled(seconds: number): AppError {
  const unit = seconds === 1 ? 'second' : 'seconds'
  return new AppError(
    'throttled',
    `Request was throttled. Expected available in ${seconds} ${unit}.`,
    { retryAfterSeconds: seconds },
  )
}
