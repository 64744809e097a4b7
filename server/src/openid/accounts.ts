import { email } from '@videoflix/contract'
import type { Passwords } from '../accounts/passwords.ts'
import { insertUser, lockUserByEmail } from '../accounts/users.ts'
import type { Audit } from '../audit/audit.ts'
import type { OpenIdSettings } from '../config/openid-settings.ts'
import { isUniqueViolation, transact, type Database, type Transacting } from '../db/database.ts'
import type { User } from '../db/tables.ts'
import type { Clock } from '../ports/clock.ts'
import { newSecret } from '../ports/ids.ts'
import {
  findUserByIdentity,
  hasIdentityAt,
  insertIdentity,
  takeOverUnconfirmed,
} from './identity-rows.ts'
import type { Claims } from './provider.ts'
import { SignInRefused } from './refusals.ts'

/** Which account is whose, of those who come from the provider. */
export interface OpenIdAccounts {
  /** The account of an identity; at its first sign-in that of its verified address, or a new one. */
  userOf(claims: Claims, address: string): Promise<User>
}

type Arrival = { user: User; how: 'known' | 'linked' | 'created' }

export function createOpenIdAccounts(needs: {
  db: Database
  clock: Clock
  audit: Audit
  passwords: Passwords
  settings: OpenIdSettings
}): OpenIdAccounts {
  const { db, clock, audit, passwords, settings } = needs

  async function arrive(
    trx: Transacting,
    claims: Claims,
    verified: string,
    passwordHash: string,
  ): Promise<Arrival> {
    const now = clock.now()
    // The owner's row first: whoever links at the same time is done by the time we look who is known.
    const owner = await lockUserByEmail(trx, verified)
    const known = await findUserByIdentity(trx, claims)
    if (known) return { user: known, how: 'known' }
    if (!owner) {
      if (!settings.createsUsers) throw new SignInRefused('no_account')
      const newcomer = { email: verified, passwordHash, isActive: true, isSuperuser: false }
      const user = await insertUser(trx, newcomer, now)
      await insertIdentity(trx, user.id, claims, now)
      return { user, how: 'created' }
    }
    if (await hasIdentityAt(trx, owner.id, claims.issuer)) throw new SignInRefused('other_identity')
    const mayTakeOver = !owner.is_active && settings.createsUsers
    const user = mayTakeOver ? await takeOverUnconfirmed(trx, owner.id, passwordHash, now) : owner
    if (!user?.is_active) throw new SignInRefused('inactive')
    await insertIdentity(trx, user.id, claims, now)
    return { user, how: mayTakeOver ? 'created' : 'linked' }
  }

  return {
    async userOf(claims, address) {
      if (!isStorable(claims.subject)) throw new SignInRefused('unproven')
      const known = await findUserByIdentity(db, claims)
      if (known) return known
      const verified = verifiedEmail(claims, settings.trustsEmail)
      // Nobody knows this password. It is changed like any other: by a reset link.
      const passwordHash = await passwords.hash(newSecret())
      const work = () => transact(db, (trx) => arrive(trx, claims, verified, passwordHash))
      const { user, how } = await work().catch((error: unknown) => {
        // The same person in another tab was faster: now the account is there.
        if (isUniqueViolation(error)) return work()
        throw error
      })
      const details = { issuer: claims.issuer }
      if (how === 'created') await audit.record('registered', { userId: user.id, address, details })
      if (how !== 'known')
        await audit.record('openid_linked', { userId: user.id, address, details })
      return user
    },
  }
}

function verifiedEmail(claims: Claims, isTrusted: boolean): string {
  const parsed = email().safeParse(claims.email)
  if (!parsed.success) throw new SignInRefused('no_email')
  if (!claims.isEmailVerified && !isTrusted) throw new SignInRefused('unverified_email')
  return parsed.data
}

/** OpenID Connect Core §2: at most 255 ASCII characters. */
function isStorable(subject: string): boolean {
  return /^[\x20-\x7e]{1,255}$/.test(subject)
}
