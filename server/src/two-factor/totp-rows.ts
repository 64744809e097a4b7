import type { Database, Transacting } from '../db/database.ts'
import type { TotpRow } from '../db/tables.ts'

/** The statements on the tables `totp` and `recovery_codes`. */

export async function findTotp(db: Database, userId: number): Promise<TotpRow | null> {
  const row = await db
    .selectFrom('totp')
    .selectAll()
    .where('user_id', '=', userId)
    .executeTakeFirst()
  return row ?? null
}

/** Holds the row until the transaction ends. */
export async function lockTotp(trx: Transacting, userId: number): Promise<TotpRow | null> {
  const row = await trx
    .selectFrom('totp')
    .selectAll()
    .where('user_id', '=', userId)
    .forUpdate()
    .executeTakeFirst()
  return row ?? null
}

/** Starts, or starts again; false when it was confirmed before. */
export async function offerTotp(
  db: Database,
  userId: number,
  sealedSecret: string,
  now: Date,
): Promise<boolean> {
  const row = await db
    .insertInto('totp')
    .values({ user_id: userId, sealed_secret: sealedSecret, created_at: now })
    .onConflict((conflict) =>
      conflict
        .column('user_id')
        .doUpdateSet({ sealed_secret: sealedSecret, created_at: now })
        .where('totp.confirmed_at', 'is', null),
    )
    .returning('user_id')
    .executeTakeFirst()
  return row !== undefined
}

export async function confirmTotp(
  trx: Transacting,
  userId: number,
  step: number,
  now: Date,
): Promise<void> {
  await trx
    .updateTable('totp')
    .set({ confirmed_at: now, last_step: step })
    .where('user_id', '=', userId)
    .execute()
}

/** Uses a time step up: of several uses of one code, exactly one is told true. */
export async function useStep(
  trx: Transacting,
  userId: number,
  step: number,
  sealedSecret: string,
): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('totp')
    .set({
      last_step: step,
      sealed_secret: sealedSecret,
      failures: 0,
      blocked_until: null,
    })
    .where('user_id', '=', userId)
    .where('last_step', '<', step)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

export async function countFailure(
  trx: Transacting,
  userId: number,
  blockedUntil: Date | null,
): Promise<void> {
  await trx
    .updateTable('totp')
    .set((eb) => ({ failures: eb('failures', '+', 1), blocked_until: blockedUntil }))
    .where('user_id', '=', userId)
    .execute()
}

export async function forgetFailures(trx: Transacting, userId: number): Promise<void> {
  await trx
    .updateTable('totp')
    .set({ failures: 0, blocked_until: null })
    .where('user_id', '=', userId)
    .execute()
}

export async function deleteTotp(trx: Transacting, userId: number): Promise<boolean> {
  await trx.deleteFrom('recovery_codes').where('user_id', '=', userId).execute()
  const { numDeletedRows } = await trx
    .deleteFrom('totp')
    .where('user_id', '=', userId)
    .executeTakeFirst()
  return numDeletedRows > 0n
}

export async function replaceRecoveryCodes(
  trx: Transacting,
  userId: number,
  hashes: string[],
  now: Date,
): Promise<void> {
  await trx.deleteFrom('recovery_codes').where('user_id', '=', userId).execute()
  await trx
    .insertInto('recovery_codes')
    .values(hashes.map((hash) => ({ user_id: userId, code_hash: hash, created_at: now })))
    .execute()
}

/** Uses a code up: of several uses of one code, exactly one is told true. */
export async function useRecoveryCode(
  trx: Transacting,
  userId: number,
  hash: string,
  now: Date,
): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('recovery_codes')
    .set({ used_at: now })
    .where('user_id', '=', userId)
    .where('code_hash', '=', hash)
    .where('used_at', 'is', null)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

export async function countRecoveryCodes(db: Database, userId: number): Promise<number> {
  const { count } = await db
    .selectFrom('recovery_codes')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('user_id', '=', userId)
    .where('used_at', 'is', null)
    .executeTakeFirstOrThrow()
  return count
}
