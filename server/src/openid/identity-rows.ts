import type { Database, Transacting } from '../db/database.ts'
import type { User } from '../db/tables.ts'

/** The statements on the table `identities`, and on `users` for those who come by one. */

export interface Identity {
  issuer: string
  subject: string
}

export async function findUserByIdentity(db: Database, identity: Identity): Promise<User | null> {
  const user = await db
    .selectFrom('identities')
    .innerJoin('users', 'users.id', 'identities.user_id')
    .selectAll('users')
    .where('issuer', '=', identity.issuer)
    .where('subject', '=', identity.subject)
    .executeTakeFirst()
  return user ?? null
}

export async function hasIdentityAt(
  db: Database,
  userId: number,
  issuer: string,
): Promise<boolean> {
  const row = await db
    .selectFrom('identities')
    .select('subject')
    .where('user_id', '=', userId)
    .where('issuer', '=', issuer)
    .executeTakeFirst()
  return row !== undefined
}

/** Throws a unique violation when the identity is known, or the user has another of that issuer. */
export async function insertIdentity(
  trx: Transacting,
  userId: number,
  { issuer, subject }: Identity,
  now: Date,
): Promise<void> {
  await trx
    .insertInto('identities')
    .values({ issuer, subject, user_id: userId, created_at: now })
    .execute()
}

/**
 * Gives an account that nobody ever confirmed to whoever owns its address: nothing remains of what a stranger may have
 * written into it, and the changed password voids its links.
 */
export async function takeOverUnconfirmed(
  trx: Transacting,
  userId: number,
  passwordHash: string,
  now: Date,
): Promise<User | null> {
  const user = await trx
    .updateTable('users')
    .set({
      password_hash: passwordHash,
      phone: null,
      address: null,
      is_active: true,
      confirmed_at: now,
    })
    .where('id', '=', userId)
    .where('is_active', '=', false)
    .where('is_superuser', '=', false)
    .where('confirmed_at', 'is', null)
    .where('last_login_at', 'is', null)
    .returningAll()
    .executeTakeFirst()
  return user ?? null
}
