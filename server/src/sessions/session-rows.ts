import type { Database, Transacting } from '../db/database.ts'
import type { SessionRow } from '../db/tables.ts'

/** The statements on the table `sessions`. */

export async function insertSession(db: Database, session: SessionRow): Promise<void> {
  await db.insertInto('sessions').values(session).execute()
}

/** Holds the row until the transaction ends. */
export async function lockSession(trx: Transacting, id: string): Promise<SessionRow | null> {
  const row = await trx
    .selectFrom('sessions')
    .selectAll()
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst()
  return row ?? null
}

export async function advanceSession(
  trx: Transacting,
  id: string,
  counter: number,
  now: Date,
): Promise<void> {
  await trx.updateTable('sessions').set({ counter, rotated_at: now }).where('id', '=', id).execute()
}

/** At most a hundred, latest use first. */
export async function listLiveSessionsOf(
  db: Database,
  userId: number,
  now: Date,
): Promise<SessionRow[]> {
  return await db
    .selectFrom('sessions')
    .selectAll()
    .where('user_id', '=', userId)
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', now)
    .orderBy('rotated_at', 'desc')
    .orderBy('id')
    .limit(100)
    .execute()
}

/** True when it lived, and was this user's. */
export async function revokeSessionOf(
  db: Database,
  userId: number,
  id: string,
  now: Date,
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('sessions')
    .set({ revoked_at: now })
    .where('id', '=', id)
    .where('user_id', '=', userId)
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', now)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

/** Gives how many there were. */
export async function revokeSessionsBut(
  db: Database,
  userId: number,
  keptId: string | null,
  now: Date,
): Promise<number> {
  const { numUpdatedRows } = await db
    .updateTable('sessions')
    .set({ revoked_at: now })
    .where('user_id', '=', userId)
    .where('id', '!=', keptId ?? '')
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', now)
    .executeTakeFirst()
  return Number(numUpdatedRows)
}

export async function revokeSession(db: Database, id: string, now: Date): Promise<void> {
  await db
    .updateTable('sessions')
    .set({ revoked_at: now })
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .execute()
}

export async function revokeSessionsOf(trx: Transacting, userId: number, now: Date): Promise<void> {
  await trx
    .updateTable('sessions')
    .set({ revoked_at: now })
    .where('user_id', '=', userId)
    .where('revoked_at', 'is', null)
    .execute()
}

/** A session with what matters of its user; `null` for the user's part when the user is gone. */
export async function findSessionWithUser(db: Database, id: string) {
  const row = await db
    .selectFrom('sessions')
    .innerJoin('users', 'users.id', 'sessions.user_id')
    .select([
      'sessions.id',
      'sessions.user_id',
      'sessions.expires_at',
      'sessions.revoked_at',
      'users.email',
      'users.is_active',
      'users.is_superuser',
    ])
    .where('sessions.id', '=', id)
    .executeTakeFirst()
  return row ?? null
}

export async function userExists(db: Database, id: number): Promise<boolean> {
  return (
    (await db.selectFrom('users').select('id').where('id', '=', id).executeTakeFirst()) !==
    undefined
  )
}
