import type { Settings } from './settings.ts'

const SECRET_MIN = 32
/** Thirty-two random hexadecimal digits have fourteen different ones, give or take two. */
const DIFFERENT_MIN = 8
const WELL_KNOWN =
  /change.?me|insecure|your.?secret|example|default|replace|random|qwert|^secret|^password/i
/** Of IPv4 and IPv6: the widest private networks are 10.0.0.0/8 and fc00::/7. */
const NETWORK_BITS_MIN = 7
const MAKE = 'make one with `openssl rand -base64 48`'

/** One sentence that names the setting and what to write, or null when the settings may be run with. */
export function whatIsUnsafe(settings: Settings): string | null {
  return (
    unsafeSecret(settings) ??
    unsafeCookies(settings.cookies) ??
    unsafeOrigins(settings) ??
    unsafeProxies(settings) ??
    unsafeToken(settings.monitoring.metricsToken)
  )
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
    if (WELL_KNOWN.test(key) || isRegular(key)) {
      return `${names[at]} looks like an example that others know: ${MAKE}.`
    }
  }
  return null
}

/** Few different letters, one text again and again, or letters in their order: nothing that chance makes. */
function isRegular(key: string): boolean {
  const steps = [...key].filter((_, at) => key.charCodeAt(at) === key.charCodeAt(at - 1) + 1)
  const isRepeated = (key + key).indexOf(key, 1) < key.length
  return new Set(key).size < DIFFERENT_MIN || isRepeated || steps.length > key.length / 2
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

function unsafeProxies({ trustedProxies }: Settings): string | null {
  const wide = trustedProxies.find(
    (network) => network.includes('/') && Number(network.split('/')[1]) < NETWORK_BITS_MIN,
  )
  if (wide === undefined) return null
  return `TRUSTED_PROXIES holds ${wide}: from there anybody could claim to be anybody; name your proxies' own addresses.`
}

function unsafeToken(token: string | null): string | null {
  if (token === null) return null
  if (token.length < SECRET_MIN) {
    return `METRICS_TOKEN is too short (${token.length} characters, at least ${SECRET_MIN}): ${MAKE}.`
  }
  if (/\s/.test(token)) {
    return `METRICS_TOKEN holds spaces, which no header can carry: ${MAKE}.`
  }
  if (!WELL_KNOWN.test(token) && !isRegular(token)) return null
  return `METRICS_TOKEN looks like an example that others know: ${MAKE}.`
}
