import { errors, jwtVerify, SignJWT, type JWTPayload } from 'jose'
import type { Keys } from '../config/keys.ts'
import { parseRefreshToken } from './refresh-token.ts'

/** Why an access token is refused; the wording of the HTTP contract is in `http/authentication.ts`. */
export type TokenRefusal = 'expired' | 'invalid' | 'wrong_type'

export interface AccessToken {
  sessionId: string
  userId: number
  expiresAt: Date
}

const ISSUER = 'videoflix'
const AUDIENCE = 'videoflix-api'
/** RFC 9068 §2.1 */
const TYPE = 'at+jwt'
const HEADER = { alg: 'HS256', typ: TYPE }
const ENCODED_HEADER = Buffer.from(JSON.stringify(HEADER)).toString('base64url')
/** Whatever the settings or a leaked key say. */
const LONGEST_LIFE_S = 300
/** Of the clocks of two servers. */
const SKEW_S = 30

export async function signAccessToken(keys: Keys, token: AccessToken, now: Date): Promise<string> {
  return await new SignJWT({ sid: token.sessionId })
    .setProtectedHeader(HEADER)
    .setSubject(String(token.userId))
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setIssuedAt(now)
    .setExpirationTime(token.expiresAt)
    .sign(keys.signing('access'))
}

/** Never throws: whatever the text, it is a token or a refusal. */
export async function readAccessToken(
  keys: Keys,
  text: string,
  now: Date,
): Promise<AccessToken | TokenRefusal> {
  if (parseRefreshToken(text)) return 'wrong_type'
  let refusal: TokenRefusal = 'invalid'
  for (const key of keys.verifying('access')) {
    try {
      const { payload } = await jwtVerify(text, key, {
        algorithms: ['HS256'],
        issuer: ISSUER,
        audience: AUDIENCE,
        typ: TYPE,
        requiredClaims: ['sub', 'sid', 'exp', 'iat'],
        currentDate: now,
      })
      return isCanonical(text, payload) ? fromPayload(payload, now) : 'invalid'
    } catch (error) {
      refusal = refusalOf(error)
      if (refusal !== 'invalid') return refusal
    }
  }
  return refusal
}

/**
 * Whether the text is the one that we would write: one token has one spelling, without padding, spare bits (RFC 4648
 * §3.5), names that occur twice (RFC 8259 §4) or another header.
 */
function isCanonical(text: string, payload: JWTPayload): boolean {
  const [header, body = '', signature = ''] = text.split('.')
  const respelled = Buffer.from(signature, 'base64url').toString('base64url')
  const rewritten = Buffer.from(JSON.stringify(payload)).toString('base64url')
  return header === ENCODED_HEADER && body === rewritten && signature === respelled
}

function fromPayload(payload: JWTPayload & { sid?: unknown }, now: Date): AccessToken | 'invalid' {
  const { sid, sub, aud, iat = Infinity, exp = Infinity } = payload
  if (typeof sid !== 'string' || !/^[\w-]{22}$/.test(sid)) return 'invalid'
  if (typeof sub !== 'string' || !/^[1-9]\d{0,14}$/.test(sub) || aud !== AUDIENCE) return 'invalid'
  if (iat > now.getTime() / 1000 + SKEW_S || exp - iat > LONGEST_LIFE_S) return 'invalid'
  return { sessionId: sid, userId: Number(sub), expiresAt: new Date(exp * 1000) }
}

function refusalOf(error: unknown): TokenRefusal {
  if (error instanceof errors.JWTExpired) return 'expired'
  if (error instanceof errors.JWTClaimValidationFailed && ['typ', 'aud'].includes(error.claim)) {
    return 'wrong_type'
  }
  return 'invalid'
}
