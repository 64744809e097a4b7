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

export async function signAccessToken(keys: Keys, token: AccessToken, now: Date): Promise<string> {
  return await new SignJWT({ sid: token.sessionId })
    .setProtectedHeader({ alg: 'HS256', typ: TYPE })
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
      return fromPayload(payload) ?? 'invalid'
    } catch (error) {
      refusal = refusalOf(error)
      if (refusal !== 'invalid') return refusal
    }
  }
  return refusal
}

function fromPayload({ sid, sub, exp }: JWTPayload & { sid?: unknown }): AccessToken | null {
  if (typeof sid !== 'string' || !/^[\w-]{22}$/.test(sid)) return null
  if (!/^\d{1,15}$/.test(sub ?? '') || exp === undefined) return null
  return { sessionId: sid, userId: Number(sub), expiresAt: new Date(exp * 1000) }
}

function refusalOf(error: unknown): TokenRefusal {
  if (error instanceof errors.JWTExpired) return 'expired'
  if (error instanceof errors.JWTClaimValidationFailed && ['typ', 'aud'].includes(error.claim)) {
    return 'wrong_type'
  }
  return 'invalid'
}
