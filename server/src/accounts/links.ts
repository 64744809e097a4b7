import { createHash } from 'node:crypto'
import type { Database, Transacting } from '../db/database.ts'
import type { LinkPurpose, User } from '../db/tables.ts'
import { newSecret } from '../ports/ids.ts'

/**
 * Single-use links sent by mail. The token is 256 random bits and only its SHA-256 is stored; it holds for one purpose,
 * one user, a time, and the password the user had when it was made.
 */

export type LinkRefusal = 'unknown' | 'other_user' | 'expired' | 'used'

const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64url')

/** Makes a link and returns its token, which is known to nobody else from here on. */
export async function issueLink(
  db: Database,
  link: { purpose: LinkPurpose; user: User; expiresAt: Date; now: Date },
): Promise<string> {
  const token = newSecret()
  await db
    .insertInto('links')
    .values({
      token_hash: sha256(token),
      purpose: link.purpose,
      user_id: link.user.id,
      password_fingerprint: sha256(link.user.password_hash),
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
  return (await hasPasswordChanged(trx, tokenHash)) ? 'expired' : null
}

/** Why a link would be refused now; null when it would hold. Uses nothing up. */
export async function findRefusal(
  db: Database,
  use: { purpose: LinkPurpose; token: string; userId: number; now: Date },
): Promise<LinkRefusal | null> {
  const link = await db
    .selectFrom('links')
    .innerJoin('users', 'users.id', 'links.user_id')
    .select(['user_id', 'consumed_at', 'expires_at', 'password_fingerprint', 'password_hash'])
    .where('token_hash', '=', sha256(use.token))
    .where('purpose', '=', use.purpose)
    .executeTakeFirst()
  if (!link) return 'unknown'
  if (link.user_id !== use.userId) return 'other_user'
  if (link.consumed_at !== null) return 'used'
  const isVoid = sha256(link.password_hash) !== link.password_fingerprint
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

async function hasPasswordChanged(trx: Transacting, tokenHash: string): Promise<boolean> {
  const { password_hash, password_fingerprint } = await trx
    .selectFrom('links')
    .innerJoin('users', 'users.id', 'links.user_id')
    .select(['users.password_hash', 'links.password_fingerprint'])
    .where('token_hash', '=', tokenHash)
    .executeTakeFirstOrThrow()
  return sha256(password_hash) !== password_fingerprint
}

/** Uses up all other open links of a user for a purpose: one reset is enough. */
export async function voidLinks(
  trx: Transacting,
  userId: number,
  purpose: LinkPurpose,
  now: Date,
): Promise<void> {
  await trx
    .updateTable('links')
    .set({ consumed_at: now })
    .where('user_id', '=', userId)
    .where('purpose', '=', purpose)
    .where('consumed_at', 'is', null)
    .execute()
}
