import { hash, verify } from '@node-rs/argon2'
import { AppError } from '../errors.ts'
import { newSecret } from '../ports/ids.ts'

/** Argon2id version 1.3 (RFC 9106), parameters of at least OWASP's: 19 MiB, two passes, one lane. */
export interface Passwords {
  hash(password: string): Promise<string>
  /** Takes the same time for a user that does not exist (`null`). */
  verify(storedHash: string | null, password: string): Promise<boolean>
  /** A message for people, or null when the password may be used. */
  objection(password: string, email: string): string | null
}

export function createPasswords(settings: {
  minLength: number
  argon2MemoryKib: number
}): Passwords {
  const options = { memoryCost: settings.argon2MemoryKib, timeCost: 2, parallelism: 1 }
  /** Nobody knows a password for it: it is compared with when there is no user. Made at the first login. */
  let nobody: Promise<string> | undefined
  return {
    hash: (password) => hash(password, options),

    async verify(storedHash, password) {
      nobody ??= hash(newSecret(), options)
      const isRight = await verify(storedHash ?? (await nobody), password).catch(
        (cause: unknown) => {
          throw new AppError('unavailable', 'The password could not be checked: try again.', {
            cause,
          })
        },
      )
      return isRight && storedHash !== null
    },

    objection(password, email) {
      if ([...password].length < settings.minLength) {
        return `This password is too short. It must contain at least ${settings.minLength} characters.`
      }
      if (isSameText(password, email) || isSameText(password, email.split('@')[0] ?? '')) {
        return 'The password is too similar to the email.'
      }
      return null
    },
  }
}

function isSameText(one: string, other: string): boolean {
  return one.normalize('NFKC').toLowerCase() === other.normalize('NFKC').toLowerCase()
}
