import type { Transacting } from '../db/database.ts'
import { cancel } from '../tasks/queue.ts'
import { emailChangeOf } from './links.ts'

/**
 * A user with everything that is theirs: sessions, links, favourites, second factor and identities go with the row (the
 * schema says so), tasks about them are cancelled. What was audited stays.
 */
export async function deleteUser(trx: Transacting, userId: number): Promise<void> {
  await cancel(trx, `user:${userId}`)
  await cancel(trx, emailChangeOf(userId))
  await trx.deleteFrom('users').where('id', '=', userId).execute()
}
