import { createHash, randomBytes } from 'node:crypto'

const COUNT = 10
/** Enough that the hash needs no salt and guessing no throttle. */
const BITS = 80
/** RFC 4648 §6, in lower case: 0, 1 and 8 are not in it, so who writes them means o, l and b. */
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'
const LENGTH = BITS / 5

/** Ten new codes, such as `k3mf-z7qa-x2dw-hb5t`. */
export function newRecoveryCodes(): string[] {
  return Array.from({ length: COUNT }, newCode)
}

/** The hash of what somebody typed; null when it has not the form of a code. */
export function hashOfRecoveryCode(typed: string): string | null {
  const code = typed
    .toLowerCase()
    .replaceAll(/[\s-]/g, '')
    .replaceAll('0', 'o')
    .replaceAll('1', 'l')
    .replaceAll('8', 'b')
  if (!/^[a-z2-7]{16}$/.test(code)) return null
  return createHash('sha256').update(code).digest('base64url')
}

function newCode(): string {
  // 256 is a multiple of 32: no letter is likelier.
  const letters = Array.from(randomBytes(LENGTH), (byte) => ALPHABET[byte % 32])
  return letters.join('').replaceAll(/(.{4})(?!$)/g, '$1-')
}
