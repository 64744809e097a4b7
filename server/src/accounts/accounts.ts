import type { Registration } from '@videoflix/contract'
import type { Audit } from '../audit/audit.ts'
import type { Settings } from '../config/settings.ts'
import { isUniqueViolation, transact, type Database } from '../db/database.ts'
import type { LinkPurpose, User } from '../db/tables.ts'
import { AppError, invalid } from '../errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { Doorbell } from '../ports/doorbell/doorbell.ts'
import type { Sessions } from '../sessions/sessions.ts'
import { enqueue } from '../tasks/queue.ts'
import {
  consumeLink,
  findRefusal,
  issueLink,
  voidAllLinks,
  voidLinks,
  type LinkRefusal,
} from './links.ts'
import type { Passwords } from './passwords.ts'
import {
  confirmUser,
  emailExists,
  findUser,
  findUserByEmail,
  insertUser,
  isPending,
  isShutOut,
  lockUser,
  setPassword,
} from './users.ts'

export interface Accounts {
  /** Makes an inactive user and sends the confirmation mail. Throws `invalid` with fields. */
  register(registration: Registration, address: string): Promise<User>
  emailExists(email: string): Promise<boolean>
  /** Activates the user of a link; again is fine. Throws `invalid` with a sentence. */
  confirm(userId: number, token: string, address: string): Promise<void>
  /**
   * Sends a reset link if there is such a user who was not shut out; whether there is one is told to the caller only.
   * Never a link to confirm: it would let in a stranger, with the password that the stranger chose.
   */
  requestReset(email: string): Promise<User | null>
  /** Ends all sessions and logs nobody in; confirms the address, which the link has proven. Throws `invalid` with a sentence. */
  resetPassword(
    reset: { userId: number; token: string; password: string },
    address: string,
  ): Promise<void>
  /** A link beside the mailed one, for a developer without mail. */
  debugLink(purpose: LinkPurpose, user: User): Promise<string>
  /** Throws `invalid` when the address or the password will not do. */
  createSuperuser(superuser: {
    email: string
    password: string
    username: string | null
  }): Promise<User>
}

const REFUSALS: Record<LinkRefusal, string> = {
  unknown: 'Invalid or expired token.',
  expired: 'Invalid or expired token.',
  used: 'Invalid or expired token.',
  other_user: 'Token does not match user.',
}

/** Ids begin at 1. */
const NOBODY = 0

export function createAccounts(needs: {
  db: Database
  clock: Clock
  doorbell: Doorbell
  audit: Audit
  passwords: Passwords
  sessions: Sessions
  links: Settings['links']
}): Accounts {
  const { db, clock, doorbell, audit, passwords, sessions } = needs

  async function insertOrRefuse(insert: () => Promise<User>): Promise<User> {
    try {
      return await insert()
    } catch (error) {
      if (isUniqueViolation(error)) throw emailTaken()
      throw error
    }
  }

  return {
    async register(registration, address) {
      const { email, password } = registration
      if (password !== registration.confirm_password) {
        throw invalid({ password: ['Passwords must match.'] })
      }
      const objections = await passwords.objections(password, email)
      if (objections.length > 0) throw invalid({ password: objections })
      if (await emailExists(db, email)) throw emailTaken()
      const passwordHash = await passwords.hash(password)
      const now = clock.now()
      const user = await insertOrRefuse(() =>
        transact(db, async (trx) => {
          const created = await insertUser(
            trx,
            {
              email,
              passwordHash,
              phone: registration.phone ?? null,
              address: registration.address ?? null,
              isActive: false,
              isSuperuser: false,
            },
            now,
          )
          const payload = { template: 'confirm', userId: created.id } as const
          await enqueue(trx, 'send_mail', payload, { subject: `user:${created.id}`, now })
          return created
        }),
      )
      doorbell.ring('tasks')
      await audit.record('registered', { userId: user.id, address })
      return user
    },

    emailExists: (email) => emailExists(db, email),

    async confirm(userId, token, address) {
      if (!(await findUser(db, userId))) throw new AppError('invalid', 'Invalid user ID.')
      const now = clock.now()
      const { refusal, isActive } = await transact(db, async (trx) => {
        const user = await lockUser(trx, userId)
        const consumed = await consumeLink(trx, { purpose: 'confirm', token, userId, now })
        const refused = consumed === null && (!user || isShutOut(user)) ? 'expired' : consumed
        if (refused !== null) return { refusal: refused, isActive: user?.is_active ?? false }
        await confirmUser(trx, userId, now)
        await voidLinks(trx, userId, ['confirm'], now)
        return { refusal: null, isActive: true }
      })
      const isRepeated = refusal === 'used' && isActive
      if (refusal !== null && !isRepeated) throw new AppError('invalid', REFUSALS[refusal])
      if (refusal === null) await audit.record('confirmed', { userId, address })
    },

    async requestReset(email) {
      const user = await findUserByEmail(db, email)
      const isServed = user !== null && !isShutOut(user)
      // A mail to nobody is never sent, but takes as long to ask for: time tells nothing about an account.
      const userId = isServed ? user.id : NOBODY
      const now = clock.now()
      await transact(db, (trx) =>
        enqueue(
          trx,
          'send_mail',
          { template: 'reset', userId },
          { subject: `user:${userId}`, now },
        ),
      )
      doorbell.ring('tasks')
      return isServed ? user : null
    },

    async resetPassword({ userId, token, password }, address) {
      const user = await findUser(db, userId)
      if (!user) throw new AppError('invalid', 'Invalid user.')
      const refused = await findRefusal(db, { purpose: 'reset', token, userId, now: clock.now() })
      if (refused !== null) throw new AppError('invalid', REFUSALS[refused])
      const objections = await passwords.objections(password, user.email)
      if (objections.length > 0) throw new AppError('invalid', objections.join(' '))
      const passwordHash = await passwords.hash(password)
      const now = clock.now()
      const isConfirmed = await transact(db, async (trx) => {
        const current = await lockUser(trx, userId)
        const refusal = await consumeLink(trx, { purpose: 'reset', token, userId, now })
        if (refusal !== null) throw new AppError('invalid', REFUSALS[refusal])
        if (!current || isShutOut(current)) throw new AppError('invalid', REFUSALS.expired)
        await setPassword(trx, userId, passwordHash, now)
        await voidAllLinks(trx, userId, now)
        if (isPending(current)) await confirmUser(trx, userId, now)
        await sessions.revokeAllOf(trx, userId, now)
        await enqueue(
          trx,
          'send_mail',
          { template: 'password_changed', userId },
          { subject: `user:${userId}`, now },
        )
        return isPending(current)
      })
      sessions.forgetChecks()
      doorbell.ring('tasks')
      await audit.record('password_reset', { userId, address })
      if (isConfirmed) await audit.record('confirmed', { userId, address })
    },

    debugLink: (purpose, user) =>
      issueLink(db, {
        purpose,
        user,
        now: clock.now(),
        expiresAt: new Date(
          clock.now().getTime() +
            (purpose === 'confirm' ? needs.links.confirmTtlMs : needs.links.resetTtlMs),
        ),
      }),

    async createSuperuser({ email, password, username }) {
      const objections = await passwords.objections(password, email)
      if (objections.length > 0) throw invalid({ password: objections })
      const passwordHash = await passwords.hash(password)
      const user = await insertOrRefuse(() =>
        insertUser(
          db,
          { email, passwordHash, username, isActive: true, isSuperuser: true },
          clock.now(),
        ),
      )
      await audit.record('superuser_created', { userId: user.id })
      return user
    },
  }
}

function emailTaken(): AppError {
  return invalid({ email: ['User with this email already exists.'] })
}
