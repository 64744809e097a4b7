import { Secret, TOTP } from 'otpauth'
import { renderSVG } from 'uqr'

/**
 * Time-based one-time codes (RFC 6238) with the parameters that every authenticator app knows: SHA-1, six digits,
 * thirty seconds. Others are in the standard, and several apps ignore them and show wrong codes.
 */
const PERIOD_SECONDS = 30
const DIGITS = 6
/** RFC 4226 §4 R6 recommends 160 bits. */
const SECRET_BYTES = 20
/** Steps before and after now that are accepted (RFC 6238 §5.2): clocks differ, and people type. */
const WINDOW = 1

/** A new secret, in base 32. */
export function newTotpSecret(): string {
  return new Secret({ size: SECRET_BYTES }).base32
}

/** The time step that a code is of, null when it is of none near `now`. */
export function stepOfCode(secret: string, code: string, now: Date): number | null {
  if (!isTotpCode(code)) return null
  const timestamp = now.getTime()
  const delta = totpOf(secret, '').validate({ token: code, timestamp, window: WINDOW })
  return delta === null ? null : Math.floor(timestamp / 1000 / PERIOD_SECONDS) + delta
}

export function isTotpCode(text: string): boolean {
  return /^\d{6}$/.test(text)
}

/** What an authenticator app scans or opens (the Key Uri Format that Google Authenticator brought). */
export function otpauthUrl(secret: string, email: string): string {
  return totpOf(secret, email).toString()
}

/** As a QR code: an SVG image, black on white in every colour scheme, with the quiet zone that scanners need. */
export function qrCode(text: string): string {
  return renderSVG(text, { border: 4, ecc: 'M' })
}

function totpOf(secret: string, label: string): TOTP {
  return new TOTP({
    issuer: 'Videoflix',
    label,
    algorithm: 'SHA1',
    digits: DIGITS,
    period: PERIOD_SECONDS,
    secret: Secret.fromBase32(secret),
  })
}
