import type { Database, Transacting } from '../db/database.ts'
import type { User, UserUpdate } from '../db/tables.ts'

/** The statements on the table `users`. Addresses are handed in normalised. */

export async function findUserByEmail(db: Database, email: string): Promise<User | null> {
  const user = await db
    .selectFrom('users')
    .selectAll()
    .where('email', '=', email)
    .executeTakeFirst()
  return user ?? null
}

/** Holds the row until the transaction ends. */
export async function lockUserByEmail(trx: Transacting, email: string): Promise<User | null> {
  const user = await trx
    .selectFrom('users')
    .selectAll()
    .where('email', '=', email)
    .forUpdate()
    .executeTakeFirst()
  return user ?? null
}

export async function findUser(db: Database, id: number): Promise<User | null> {
  const user = await db.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirst()
  return user ?? null
}

/** Holds the row until the transaction ends. Whoever changes an account, or starts a session, does this first. */
export async function lockUser(trx: Transacting, id: number): Promise<User | null> {
  const user = await trx
    .selectFrom('users')
    .selectAll()
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst()
  return user ?? null
}

/**
 * The ids of all active superusers, who stay such until the transaction ends: of two who are about to go at once, the
 * second finds that it is the last.
 */
export async function lockSuperusers(trx: Transacting): Promise<number[]> {
  const users = await trx
    .selectFrom('users')
    .select('id')
    .where('is_superuser', '=', true)
    .where('is_active', '=', true)
    .orderBy('id')
    .forUpdate()
    .execute()
  return users.map((user) => user.id)
}

/** Waits for its first confirmation. */
export function isPending(user: Pick<User, 'is_active' | 'confirmed_at'>): boolean {
  return !user.is_active && user.confirmed_at === null
}

/** Was welcome once, and is no longer: no mail brings them back. */
export function isShutOut(user: Pick<User, 'is_active' | 'confirmed_at'>): boolean {
  return !user.is_active && user.confirmed_at !== null
}

export async function emailExists(db: Database, email: string): Promise<boolean> {
  const user = await db
    .selectFrom('users')
    .select('id')
    .where('email', '=', email)
    .executeTakeFirst()
  return user !== undefined
}

export interface NewUser {
  email: string
  passwordHash: string
  username?: string | null
  phone?: string | null
  address?: string | null
  isActive: boolean
  isSuperuser: boolean
}

/** Throws a unique violation when the address is taken. */
export async function insertUser(trx: Database, user: NewUser, now: Date): Promise<User> {
  return await trx
    .insertInto('users')
    .values({
      email: user.email,
      password_hash: user.passwordHash,
      username: user.username ?? null,
      phone: user.phone ?? null,
      address: user.address ?? null,
      is_active: user.isActive,
      is_superuser: user.isSuperuser,
      confirmed_at: user.isActive ? now : null,
      created_at: now,
      last_login_at: null,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
}

export async function confirmUser(trx: Transacting, id: number, now: Date): Promise<void> {
  await trx
    .updateTable('users')
    .set({ is_active: true, confirmed_at: now })
    .where('id', '=', id)
    .execute()
}

export async function setPassword(
  trx: Transacting,
  id: number,
  hash: string,
  now: Date,
): Promise<void> {
  await trx
    .updateTable('users')
    .set({ password_hash: hash, password_changed_at: now })
    .where('id', '=', id)
    .execute()
}

/** Throws a unique violation when the address is taken. No changes are fine. */
export async function updateUser(
  trx: Transacting,
  id: number,
  changes: UserUpdate,
): Promise<User | null> {
  const user = await trx
    .updateTable('users')
    // A statement without any column to set is none.
    .set({ id, ...changes })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirst()
  return user ?? null
}

/** Replaces a hash by a better one of the same password, unless the password was changed meanwhile. */
export async function upgradePassword(
  db: Database,
  id: number,
  hash: { old: string; new: string },
): Promise<void> {
  await db
    .updateTable('users')
    .set({ password_hash: hash.new })
    .where('id', '=', id)
    .where('password_hash', '=', hash.old)
    .execute()
}

export async function markLogin(db: Database, id: number, now: Date): Promise<void> {
  await db.updateTable('users').set({ last_login_at: now }).where('id', '=', id).execute()
}

export async function countSuperusers(db: Database): Promise<number> {
  const { count } = await db
    .selectFrom('users')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('is_superuser', '=', true)
    .executeTakeFirstOrThrow()
  return count
}
