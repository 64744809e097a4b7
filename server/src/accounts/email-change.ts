import type { EmailChange as Wish } from '@videoflix/contract'
import type { Audit } from '../audit/audit.ts'
import { isUniqueViolation, transact, type Database, type Transacting } from '../db/database.ts'
import { AppError, invalid } from '../errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { Doorbell } from '../ports/doorbell/doorbell.ts'
import type { LoginThrottle } from '../sessions/login-throttle.ts'
import type { Sessions } from '../sessions/sessions.ts'
import { enqueue } from '../tasks/queue.ts'
import {
  consumeLink,
  emailChangeOf,
  findEmailOfLink,
  voidAllLinks,
  voidEmailChange,
} from './links.ts'
import { demandPassword, demandSamePassword } from './password-proof.ts'
import type { Passwords } from './passwords.ts'
import { lockUser, updateUser } from './users.ts'

/** A new address counts once its mailbox is proven. */
export interface EmailChange {
  /**
   * Sends a link to the new address, and changes nothing. Whether somebody else has that address is told to its mailbox
   * alone. Throws `invalid` with fields.
   */
  request(userId: number, wish: Wish, address: string): Promise<void>
  /** Opens the link; again is fine. Throws `invalid`, and `conflict` when the address was taken meanwhile. */
  confirm(userId: number, token: string, address: string): Promise<void>
}

type Opened = { from: string; to: string } | 'again'

export function createEmailChange(needs: {
  db: Database
  clock: Clock
  doorbell: Doorbell
  audit: Audit
  passwords: Passwords
  throttle: LoginThrottle
  sessions: Sessions
}): EmailChange {
  const { db, clock, doorbell, audit, sessions } = needs

  async function open(
    trx: Transacting,
    use: { userId: number; token: string; now: Date },
  ): Promise<Opened> {
    const { userId, now } = use
    const user = await lockUser(trx, userId)
    if (!user) throw new AppError('invalid', 'Invalid user ID.')
    const refusal = await consumeLink(trx, { purpose: 'change_email', ...use })
    if (refusal === 'other_user') throw new AppError('invalid', 'Token does not match user.')
    const email = await findEmailOfLink(trx, use)
    if (refusal === 'used' && user.is_active && user.email === email) return 'again'
    if (refusal !== null || !user.is_active || email === null) {
      throw new AppError('invalid', 'Invalid or expired token.')
    }
    await updateUser(trx, userId, { email, confirmed_at: user.confirmed_at ?? now })
    await voidAllLinks(trx, userId, now)
    const payload = { template: 'email_changed', userId, email: user.email } as const
    await enqueue(trx, 'send_mail', payload, { subject: `user:${userId}`, now })
    return { from: user.email, to: email }
  }

  return {
    async request(userId, wish, address) {
      const { email, password } = wish
      const user = await demandPassword(needs, { userId, password, address }, 'password')
      if (email === user.email) throw invalid({ email: ['This is your address already.'] })
      const now = clock.now()
      await transact(db, async (trx) => {
        demandSamePassword(await lockUser(trx, userId), user, 'password')
        await voidEmailChange(trx, userId, now)
        const payload = { template: 'change_email', userId, email } as const
        await enqueue(trx, 'send_mail', payload, { subject: emailChangeOf(userId), now })
      })
      doorbell.ring('tasks')
      await audit.record('email_change_requested', { userId, address })
    },

    async confirm(userId, token, address) {
      const now = clock.now()
      const opened = await transact(db, (trx) => open(trx, { userId, token, now })).catch(refuse)
      if (opened === 'again') return
      sessions.forgetChecks()
      doorbell.ring('tasks')
      await audit.record('email_changed', { userId, address })
    },
  }
}

/** The link is not used up then: the other account may go. */
function refuse(error: unknown): never {
  if (!isUniqueViolation(error)) throw error
  throw new AppError('conflict', 'This address has got an account of its own meanwhile.')
}
