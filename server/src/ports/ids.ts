import { randomBytes } from 'node:crypto'

/** Names that nobody can guess: 128 random bits, 22 characters safe in URLs and file names. */
export function newId(): string {
  return randomBytes(16).toString('base64url')
}

/** A secret: 256 random bits, 43 characters safe in URLs. */
export function newSecret(): string {
  return randomBytes(32).toString('base64url')
}
