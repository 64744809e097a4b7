import type { Settings } from './settings.ts'

const SECRET_MIN = 32
/** Thirty-two random hexadecimal digits have fourteen different ones, give or take two. */
const DIFFERENT_MIN = 8
const WELL_KNOWN = /change.?me|insecure|your.?secret|example|default|replace|^secret|^password/i
const MAKE = 'make one with `openssl rand -base64 48`'

/** One sentence that names the setting and what to write, or null when the settings may be run with. */
export function whatIsUnsafe(settings: Settings): string | null {
  return unsafeSecret(settings) ?? unsafeCookies(settings.cookies) ?? unsafeOrigins(settings)
}

function unsafeSecret({ debug, secretKey, secretKeyFallbacks }: Settings): string | null {
  if (debug) return null
  if (secretKey === null) {
    return `SECRET_KEY is missing: ${MAKE}, or set DEBUG=True to try things out.`
  }
  const keys = [secretKey, ...secretKeyFallbacks]
  const names = keys.map((_, at) => (at === 0 ? 'SECRET_KEY' : 'A key of SECRET_KEY_FALLBACKS'))
  for (const [at, key] of keys.entries()) {
    if (key.length < SECRET_MIN) {
      return `${names[at]} is too short (${key.length} characters, at least ${SECRET_MIN}): ${MAKE}.`
    }
    if (WELL_KNOWN.test(key) || new Set(key).size < DIFFERENT_MIN) {
      return `${names[at]} looks like an example that others know: ${MAKE}.`
    }
  }
  return null
}

function unsafeCookies(cookies: Settings['cookies']): string | null {
  const { accessName, refreshName, secure, sameSite } = cookies
  if (sameSite === 'none' && !secure) {
    return 'JWT_COOKIE_SAMESITE=None needs JWT_COOKIE_SECURE=True: browsers refuse the cookies otherwise.'
  }
  if (accessName === refreshName) {
    return 'JWT_ACCESS_COOKIE_NAME and JWT_REFRESH_COOKIE_NAME are the same: give each its own.'
  }
  if (!secure && [accessName, refreshName].some((name) => /^__(host|secure)-/i.test(name))) {
    return 'Cookie names that begin with __Host- or __Secure- need JWT_COOKIE_SECURE=True.'
  }
  return null
}

function unsafeOrigins({ corsOrigins, trustedOrigins }: Settings): string | null {
  if (!corsOrigins.includes('*') && !trustedOrigins.includes('*')) return null
  return 'CORS_ALLOWED_ORIGINS or CSRF_TRUSTED_ORIGINS is "*": with cookies every site could act for your users; name the origins.'
}
