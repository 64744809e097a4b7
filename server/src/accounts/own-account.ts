import type { OwnAccount as Shown, OwnChanges, PasswordChange } from '@videoflix/contract'
import type { Audit } from '../audit/audit.ts'
import { transact, type Database } from '../db/database.ts'
import { AppError, invalid } from '../errors.ts'
import { listFavorites } from '../favorites/favorites.ts'
import type { Clock } from '../ports/clock.ts'
import type { Doorbell } from '../ports/doorbell/doorbell.ts'
import type { LoginThrottle } from '../sessions/login-throttle.ts'
import type { Sessions, SessionTokens } from '../sessions/sessions.ts'
import type { Viewer } from '../sessions/viewer.ts'
import { enqueue } from '../tasks/queue.ts'
import type { SecondFactor } from '../two-factor/two-factor.ts'
import { voidAllLinks } from './links.ts'
import { demandPassword, demandSamePassword } from './password-proof.ts'
import type { Passwords } from './passwords.ts'
import { deleteUser } from './user-deletion.ts'
import { findUser, lockSuperusers, lockUser, setPassword, updateUser } from './users.ts'

/** What people do with their own account. Wrong input throws `invalid` with fields. */
export interface OwnAccount {
  get(userId: number): Promise<Shown>
  edit(userId: number, changes: OwnChanges): Promise<Shown>
  /** Ends all sessions of theirs but the viewer's, which goes on with new tokens. Voids open links, sends a notice. */
  changePassword(viewer: Viewer, change: PasswordChange, address: string): Promise<SessionTokens>
  /** For good, with everything that is theirs. Throws `conflict` for the last superuser. */
  delete(userId: number, password: string, address: string): Promise<void>
}

export function createOwnAccount(needs: {
  db: Database
  clock: Clock
  doorbell: Doorbell
  audit: Audit
  passwords: Passwords
  throttle: LoginThrottle
  sessions: Sessions
  secondFactor: SecondFactor
}): OwnAccount {
  const { db, clock, doorbell, audit, passwords, sessions, secondFactor } = needs

  async function get(userId: number): Promise<Shown> {
    const user = await findUser(db, userId)
    if (!user) throw new AppError('not_found', 'Not found.')
    return {
      id: user.id,
      username: user.email,
      email: user.email,
      phone: user.phone,
      address: user.address,
      favorite_videos: await listFavorites(db, userId),
      is_superuser: user.is_superuser,
      two_factor: await secondFactor.isEnabledFor(userId),
    }
  }

  return {
    get,

    async edit(userId, { phone, address }) {
      await transact(db, (trx) => updateUser(trx, userId, { phone, address }))
      return await get(userId)
    },

    async changePassword({ userId, sessionId }, change, address) {
      const proof = { userId, password: change.current_password, address }
      const user = await demandPassword(needs, proof, 'current_password')
      const objections = await passwords.objections(change.new_password, user.email)
      if (objections.length > 0) throw invalid({ new_password: objections })
      const hash = await passwords.hash(change.new_password)
      const now = clock.now()
      const session = await transact(db, async (trx) => {
        demandSamePassword(await lockUser(trx, userId), user, 'current_password')
        await setPassword(trx, userId, hash, now)
        await voidAllLinks(trx, userId, now)
        const payload = { template: 'password_changed', userId } as const
        await enqueue(trx, 'send_mail', payload, { subject: `user:${userId}`, now })
        const renewed = await sessions.renewOneOf(trx, userId, sessionId, now)
        if (!renewed) throw new AppError('unauthenticated', 'This session has ended: sign in.')
        return renewed
      })
      sessions.forgetChecks()
      doorbell.ring('tasks')
      await audit.record('password_changed', { userId, address })
      return await sessions.tokensOf(session, now)
    },

    async delete(userId, password, address) {
      const user = await demandPassword(needs, { userId, password, address }, 'password')
      await transact(db, async (trx) => {
        const superusers = await lockSuperusers(trx)
        demandSamePassword(await lockUser(trx, userId), user, 'password')
        if (superusers.length === 1 && superusers[0] === userId) throw lastSuperuser()
        await deleteUser(trx, userId)
      })
      sessions.forgetChecks()
      // Nothing of the person but a number that is never given again.
      await audit.record('account_deleted', { userId })
    },
  }
}

function lastSuperuser(): AppError {
  return new AppError(
    'conflict',
    'You are the last superuser: make somebody else a superuser first.',
  )
}
