import { createHash } from 'node:crypto'
import type { Database, Transacting } from '../db/database.ts'
import type { LinkPurpose, User } from '../db/tables.ts'
import { newSecret } from '../ports/ids.ts'
import { cancel } from '../tasks/queue.ts'

/**
 * Single-use links sent by mail. The token is 256 random bits and only its SHA-256 is stored; it holds for one purpose,
 * one user, a time, and the password and the address that the user had when it was made.
 */

export type LinkRefusal = 'unknown' | 'other_user' | 'expired' | 'used'

const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64url')

/** A changed password voids a link, and so does a changed address: it was sent to the old one. */
const fingerprintOf = (user: Pick<User, 'password_hash' | 'email'>): string =>
  sha256(`${user.password_hash} ${user.email}`)

/** Makes a link and returns its token, which is known to nobody else from here on. */
export async function issueLink(
  db: Database,
  link: { purpose: LinkPurpose; user: User; email?: string; expiresAt: Date; now: Date },
): Promise<string> {
  const token = newSecret()
  await db
    .insertInto('links')
    .values({
      token_hash: sha256(token),
      purpose: link.purpose,
      user_id: link.user.id,
      password_fingerprint: fingerprintOf(link.user),
      email: link.email ?? null,
      expires_at: link.expiresAt,
      consumed_at: null,
      created_at: link.now,
    })
    .execute()
  return token
}

/**
 * Uses a link up, if it holds: of parallel users of one link exactly one is told so (`null`). The effect belongs in the
 * same transaction.
 */
export async function consumeLink(
  trx: Transacting,
  use: { purpose: LinkPurpose; token: string; userId: number; now: Date },
): Promise<LinkRefusal | null> {
  const tokenHash = sha256(use.token)
  const { numUpdatedRows } = await trx
    .updateTable('links')
    .set({ consumed_at: use.now })
    .where('token_hash', '=', tokenHash)
    .where('purpose', '=', use.purpose)
    .where('user_id', '=', use.userId)
    .where('consumed_at', 'is', null)
    .where('expires_at', '>', use.now)
    .executeTakeFirst()
  if (numUpdatedRows === 0n) return await whyRefused(trx, { ...use, tokenHash })
  return (await hasUserChanged(trx, tokenHash)) ? 'expired' : null
}

/** Why a link would be refused now; null when it would hold. Uses nothing up. */
export async function findRefusal(
  db: Database,
  use: { purpose: LinkPurpose; token: string; userId: number; now: Date },
): Promise<LinkRefusal | null> {
  const link = await db
    .selectFrom('links')
    .innerJoin('users', 'users.id', 'links.user_id')
    .select([
      'links.user_id',
      'links.consumed_at',
      'links.expires_at',
      'links.password_fingerprint',
      'users.password_hash',
      'users.email',
    ])
    .where('token_hash', '=', sha256(use.token))
    .where('purpose', '=', use.purpose)
    .executeTakeFirst()
  if (!link) return 'unknown'
  if (link.user_id !== use.userId) return 'other_user'
  if (link.consumed_at !== null) return 'used'
  const isVoid = fingerprintOf(link) !== link.password_fingerprint
  return isVoid || link.expires_at <= use.now ? 'expired' : null
}

async function whyRefused(
  trx: Transacting,
  use: { purpose: LinkPurpose; tokenHash: string; userId: number },
): Promise<LinkRefusal> {
  const link = await trx
    .selectFrom('links')
    .select(['user_id', 'consumed_at'])
    .where('token_hash', '=', use.tokenHash)
    .where('purpose', '=', use.purpose)
    .executeTakeFirst()
  if (!link) return 'unknown'
  if (link.user_id !== use.userId) return 'other_user'
  return link.consumed_at === null ? 'expired' : 'used'
}

async function hasUserChanged(trx: Transacting, tokenHash: string): Promise<boolean> {
  const link = await trx
    .selectFrom('links')
    .innerJoin('users', 'users.id', 'links.user_id')
    .select(['users.password_hash', 'users.email', 'links.password_fingerprint'])
    .where('token_hash', '=', tokenHash)
    .executeTakeFirstOrThrow()
  return fingerprintOf(link) !== link.password_fingerprint
}

/** The address that a link was made to prove, whether or not it still holds. */
export async function findEmailOfLink(
  db: Database,
  use: { token: string; userId: number },
): Promise<string | null> {
  const link = await db
    .selectFrom('links')
    .select('email')
    .where('token_hash', '=', sha256(use.token))
    .where('user_id', '=', use.userId)
    .executeTakeFirst()
  return link?.email ?? null
}

/** Nothing that was mailed before, or is about to be, changes this account any more. */
export async function voidAllLinks(trx: Transacting, userId: number, now: Date): Promise<void> {
  await voidEmailChange(trx, userId, now)
  await voidLinks(trx, userId, ['confirm', 'reset'], now)
}

/** A mail that waits for its server would bring a link made after this, so it is cancelled. */
export async function voidEmailChange(trx: Transacting, userId: number, now: Date): Promise<void> {
  await cancel(trx, emailChangeOf(userId))
  await voidLinks(trx, userId, ['change_email'], now)
}

/** What the mail with such a link is filed under. */
export function emailChangeOf(userId: number): string {
  return `email-change:${userId}`
}

/** Uses up the open links of a user for these purposes: one reset is enough. */
export async function voidLinks(
  trx: Transacting,
  userId: number,
  purposes: LinkPurpose[],
  now: Date,
): Promise<void> {
  await trx
    .updateTable('links')
    .set({ consumed_at: now })
    .where('user_id', '=', userId)
    .where('purpose', 'in', purposes)
    .where('consumed_at', 'is', null)
    .execute()
}
