import { hash, verify } from '@node-rs/argon2'
import { AppError } from '../errors.ts'
import { newSecret } from '../ports/ids.ts'
import { verifyDjangoHash } from './django-hash.ts'
import { createHashingQueue } from './hashing-queue.ts'

/**
 * Argon2id version 1.3 (RFC 9106), parameters of at least OWASP's: 19 MiB, two passes, one lane. Both methods throw
 * `unavailable` when more passwords wait than can be hashed soon.
 */
export interface Passwords {
  hash(password: string): Promise<string>
  /** Takes the same time for a user that does not exist (`null`). Reads the original's hashes too. */
  verify(storedHash: string | null, password: string): Promise<boolean>
  /** Whether a hash was made by other means than `hash` has today. */
  isOutdated(storedHash: string): boolean
  /** Throws `unavailable` when `verify` and `hash` would: to be asked before anything is spent on a request. */
  assertRoom(): void
  /** Every rule that the password breaks, in sentences for people. */
  objections(password: string, email: string): Promise<string[]>
}

export function createPasswords(settings: {
  minLength: number
  argon2MemoryKib: number
}): Passwords {
  const options = { memoryCost: settings.argon2MemoryKib, timeCost: 2, parallelism: 1 }
  const current = `$argon2id$v=19$m=${options.memoryCost},t=${options.timeCost},p=1$`
  const queue = createHashingQueue()
  let nobody: Promise<string> | undefined

  /** Nobody knows a password for it: it is compared with when there is no user. Made at the first login. */
  function hashOfNobody(): Promise<string> {
    nobody ??= hash(newSecret(), options)
    return nobody
  }

  async function isRight(storedHash: string, password: string): Promise<boolean> {
    if (storedHash.startsWith('pbkdf2_sha256$')) return await verifyDjangoHash(storedHash, password)
    if (storedHash.startsWith('$argon2')) return await verify(storedHash, password)
    // Django's mark of an account without a password: nobody's, and it takes as long as anybody's.
    await verify(await hashOfNobody(), password)
    return false
  }

  return {
    hash: (password) => queue.run(() => hash(password, options)),

    async verify(storedHash, password) {
      const ofNobody = await hashOfNobody()
      const comparedWith = storedHash ?? ofNobody
      const verified = queue.run(() => isRight(comparedWith, password))
      return (await verified.catch(rethrow)) && storedHash !== null
    },

    assertRoom: () => queue.assertRoom(),

    isOutdated: (storedHash) => !storedHash.startsWith(current),

    async objections(password, email) {
      const objections: string[] = []
      if ([...password].length < settings.minLength) {
        objections.push(
          `This password is too short. It must contain at least ${settings.minLength} characters.`,
        )
      }
      if (isSameText(password, email) || isSameText(password, email.split('@')[0] ?? '')) {
        objections.push('The password is too similar to the email.')
      }
      if ((await commonPasswords()).has(password.toLowerCase())) {
        objections.push('This password is too common.')
      }
      return objections
    },
  }
}

function rethrow(cause: unknown): never {
  if (cause instanceof AppError) throw cause
  throw new AppError('unavailable', 'The password could not be checked: try again.', { cause })
}

function isSameText(one: string, other: string): boolean {
  return one.normalize('NFKC').toLowerCase() === other.normalize('NFKC').toLowerCase()
}

let common: Promise<Set<string>> | undefined

/** The 49,000 that leaked most often. Some megabytes: loaded when the first password is chosen. */
function commonPasswords(): Promise<Set<string>> {
  common ??= import('@zxcvbn-ts/language-common').then(
    ({ dictionary }) => new Set(dictionary['passwords-common']),
  )
  return common
}
