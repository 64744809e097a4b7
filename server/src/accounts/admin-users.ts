import type { AdminUser, NewUser, UserChanges } from '@videoflix/contract'
import type { Audit, AuditEvent } from '../audit/audit.ts'
import { isUniqueViolation, transact, type Database, type Transacting } from '../db/database.ts'
import type { User, UserUpdate } from '../db/tables.ts'
import { AppError, invalid } from '../errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { Doorbell } from '../ports/doorbell/doorbell.ts'
import { newSecret } from '../ports/ids.ts'
import type { Sessions } from '../sessions/sessions.ts'
import { enqueue } from '../tasks/queue.ts'
import { findAdminUser, listUsers, type UserFilter, type UserPage } from './admin-user-rows.ts'
import { voidAllLinks } from './links.ts'
import type { Passwords } from './passwords.ts'
import { deleteUser } from './user-deletion.ts'
import { insertUser, isShutOut, lockSuperusers, lockUser, updateUser } from './users.ts'

/** The superuser who does it. */
export interface Actor {
  userId: number
  address: string
}

/** Accounts in the hands of superusers. Throws `not_found`; `conflict` with a sentence when a rule forbids it. */
export interface AdminUsers {
  list(filter: UserFilter, page: UserPage): Promise<{ results: AdminUser[]; count: number }>
  get(id: number): Promise<AdminUser>
  /** Without a password: waits for its owner, who gets a link to choose one. Throws `invalid` with fields. */
  create(user: NewUser, by: Actor): Promise<AdminUser>
  /** Deactivation ends the sessions and voids the links. */
  edit(id: number, changes: UserChanges, by: Actor): Promise<AdminUser>
  sendReset(id: number, by: Actor): Promise<void>
  delete(id: number, by: Actor): Promise<void>
}

export function createAdminUsers(needs: {
  db: Database
  clock: Clock
  doorbell: Doorbell
  audit: Audit
  passwords: Passwords
  sessions: Sessions
}): AdminUsers {
  const { db, clock, doorbell, audit, passwords, sessions } = needs

  async function get(id: number): Promise<AdminUser> {
    const user = await findAdminUser(db, id)
    if (!user) throw notFound()
    return user
  }

  async function record(events: AuditEvent[], userId: number, by: Actor): Promise<void> {
    for (const event of events) {
      await audit.record(event, { userId, byUserId: by.userId, address: by.address })
    }
  }

  async function enqueueReset(trx: Transacting, userId: number, now: Date): Promise<void> {
    const payload = { template: 'reset', userId } as const
    await enqueue(trx, 'send_mail', payload, { subject: `user:${userId}`, now })
  }

  return {
    get,
    list: (filter, page) => listUsers(db, filter, page),

    async create(newUser, by) {
      const { email, password, is_superuser: isSuperuser } = newUser
      const objections = password === undefined ? [] : await passwords.objections(password, email)
      if (objections.length > 0) throw invalid({ password: objections })
      // One that nobody knows takes as long to check as any: time does not tell who has none.
      const passwordHash = await passwords.hash(password ?? newSecret())
      const isActive = password !== undefined
      const phone = newUser.phone ?? null
      const address = newUser.address ?? null
      const values = { email, passwordHash, phone, address, isActive, isSuperuser }
      const now = clock.now()
      const user = await transact(db, async (trx) => {
        await lockActor(trx, by)
        const created = await insertUser(trx, values, now)
        if (!isActive) await enqueueReset(trx, created.id, now)
        return created
      }).catch(refuseTaken)
      doorbell.ring('tasks')
      await record(isSuperuser ? ['user_created', 'user_promoted'] : ['user_created'], user.id, by)
      return await get(user.id)
    },

    async edit(id, changes, by) {
      const now = clock.now()
      const events = await transact(db, async (trx) => {
        const superusers = await lockActor(trx, by)
        const user = await lockUser(trx, id)
        if (!user) throw notFound()
        demandAllowed(user, changes, by, superusers)
        await updateUser(trx, id, withDecision(user, changes, now))
        if (changes.is_active === false) {
          await sessions.revokeAllOf(trx, id, now)
          await voidAllLinks(trx, id, now)
        }
        return eventsOf(user, changes)
      })
      sessions.forgetChecks()
      await record(events, id, by)
      return await get(id)
    },

    async sendReset(id, by) {
      const now = clock.now()
      await transact(db, async (trx) => {
        const user = await lockUser(trx, id)
        if (!user) throw notFound()
        if (isShutOut(user)) {
          throw new AppError('conflict', 'This account is not active: activate it first.')
        }
        await enqueueReset(trx, id, now)
      })
      doorbell.ring('tasks')
      await record(['reset_sent'], id, by)
    },

    async delete(id, by) {
      if (id === by.userId) {
        throw new AppError('conflict', 'Delete your own account with DELETE /users/me/.')
      }
      await transact(db, async (trx) => {
        await lockActor(trx, by)
        if (!(await lockUser(trx, id))) throw notFound()
        await deleteUser(trx, id)
      })
      sessions.forgetChecks()
      await record(['account_deleted'], id, by)
    },
  }
}

/**
 * Gives the active superusers, who stay such until the end. Of two who demote or delete each other at once, the second is
 * none by then; and as whoever acts remains, there is always one.
 */
async function lockActor(trx: Transacting, by: Actor): Promise<number[]> {
  const superusers = await lockSuperusers(trx)
  if (superusers.includes(by.userId)) return superusers
  throw new AppError('forbidden', 'You do not have permission to perform this action.')
}

function demandAllowed(user: User, changes: UserChanges, by: Actor, superusers: number[]): void {
  if (changes.is_active === false && user.id === by.userId) {
    throw new AppError('conflict', 'You cannot deactivate your own account.')
  }
  const isLast = superusers.length === 1 && superusers[0] === user.id
  if (changes.is_superuser === false && isLast) {
    throw new AppError(
      'conflict',
      'This is the last superuser: make somebody else a superuser first.',
    )
  }
}

/** Once a superuser has decided about it, an account waits for no confirmation. */
function withDecision(user: User, changes: UserChanges, now: Date): UserUpdate {
  if (changes.is_active === undefined) return changes
  return { ...changes, confirmed_at: user.confirmed_at ?? now }
}

function eventsOf(user: User, changes: UserChanges): AuditEvent[] {
  const events: AuditEvent[] = []
  const { is_active: isActive = user.is_active, is_superuser: isSuperuser = user.is_superuser } =
    changes
  if (isActive !== user.is_active) events.push(isActive ? 'user_activated' : 'user_deactivated')
  if (isSuperuser !== user.is_superuser) events.push(isSuperuser ? 'user_promoted' : 'user_demoted')
  if (changes.phone !== undefined || changes.address !== undefined) events.push('user_edited')
  return events
}

function notFound(): AppError {
  return new AppError('not_found', 'Not found.')
}

function refuseTaken(error: unknown): never {
  if (!isUniqueViolation(error)) throw error
  throw invalid({ email: ['User with this email already exists.'] })
}
