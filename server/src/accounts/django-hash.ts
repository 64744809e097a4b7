import { pbkdf2, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const derive = promisify(pbkdf2)

/** More would be a way to keep us busy; Django 6 makes 1,200,000. */
const MOST_ITERATIONS = 10_000_000

/** Whether a password has this hash of the original: `pbkdf2_sha256$<iterations>$<salt>$<base64 of 32 bytes>`. */
export async function verifyDjangoHash(storedHash: string, password: string): Promise<boolean> {
  const [, iterations = '', salt = '', digest = ''] = storedHash.split('$')
  const count = Number(iterations)
  if (!/^\d+$/.test(iterations) || count < 1 || count > MOST_ITERATIONS) return false
  const right = Buffer.from(digest, 'base64')
  const given = await derive(password, salt, count, 32, 'sha256')
  return right.length === given.length && timingSafeEqual(right, given)
}
