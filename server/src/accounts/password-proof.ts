import type { Database } from '../db/database.ts'
import type { User } from '../db/tables.ts'
import { invalid } from '../errors.ts'
import type { LoginThrottle } from '../sessions/login-throttle.ts'
import type { Passwords } from './passwords.ts'
import { findUser } from './users.ts'

/**
 * The user, if the password is theirs: a stolen session must not be enough. Guesses count like those at signing in.
 * Throws `invalid` under `field`, and `throttled`.
 */
export async function demandPassword(
  needs: { db: Database; passwords: Passwords; throttle: LoginThrottle },
  proof: { userId: number; password: string; address: string },
  field: string,
): Promise<User> {
  const { userId, password, address } = proof
  const user = await findUser(needs.db, userId)
  if (!user) throw wrongPassword(field)
  const counted = await needs.throttle.admit({ email: user.email, userId, address })
  if (!(await needs.passwords.verify(user.password_hash, password))) {
    await needs.throttle.failed(counted)
    throw wrongPassword(field)
  }
  await needs.throttle.succeeded(counted)
  return user
}

/** For the transaction that follows: the password that was right may have been changed meanwhile. */
export function demandSamePassword(
  current: User | null,
  proven: User,
  field: string,
): asserts current is User {
  const isSame = current?.password_changed_at?.getTime() === proven.password_changed_at?.getTime()
  if (!current || !isSame) throw wrongPassword(field)
}

function wrongPassword(field: string): Error {
  return invalid({ [field]: ['The password is wrong.'] })
}
