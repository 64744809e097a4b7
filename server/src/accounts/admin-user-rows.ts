import { normaliseEmail, type AdminUser } from '@videoflix/contract'
import { sql, type SqlBool } from 'kysely'
import type { Database } from '../db/database.ts'

/** The reads of accounts for superusers. */

export interface UserFilter {
  /** Part of an address. */
  search?: string | undefined
  is_active?: boolean | undefined
  is_superuser?: boolean | undefined
}

export interface UserPage {
  offset: number
  limit: number
  ordering: 'created_at' | '-created_at' | 'email' | '-email'
}

/** One page of accounts, and how many match in all. */
export async function listUsers(
  db: Database,
  filter: UserFilter,
  page: UserPage,
): Promise<{ results: AdminUser[]; count: number }> {
  let matching = db.selectFrom('users')
  if (filter.search) {
    const text = normaliseEmail(filter.search).replaceAll(/[\\%_]/g, String.raw`\$&`)
    matching = matching.where(sql<SqlBool>`users.email like ${`%${text}%`} escape '\\'`)
  }
  for (const fact of ['is_active', 'is_superuser'] as const) {
    if (filter[fact] !== undefined) matching = matching.where(`users.${fact}`, '=', filter[fact])
  }
  const { count } = await matching
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  const direction = page.ordering.startsWith('-') ? 'desc' : 'asc'
  const rows = await matching
    .leftJoin('totp', 'totp.user_id', 'users.id')
    .selectAll('users')
    .select('totp.confirmed_at as two_factor_since')
    .orderBy(page.ordering.endsWith('email') ? 'users.email' : 'users.created_at', direction)
    .orderBy('users.id', direction)
    .offset(page.offset)
    .limit(page.limit)
    .execute()
  return { count, results: rows.map(toAdminUser) }
}

export async function findAdminUser(db: Database, id: number): Promise<AdminUser | null> {
  const row = await db
    .selectFrom('users')
    .leftJoin('totp', 'totp.user_id', 'users.id')
    .selectAll('users')
    .select('totp.confirmed_at as two_factor_since')
    .where('users.id', '=', id)
    .executeTakeFirst()
  return row ? toAdminUser(row) : null
}

function toAdminUser(row: {
  id: number
  email: string
  phone: string | null
  address: string | null
  is_active: boolean
  is_superuser: boolean
  two_factor_since: Date | null
  created_at: Date
  confirmed_at: Date | null
  last_login_at: Date | null
}): AdminUser {
  return {
    id: row.id,
    email: row.email,
    phone: row.phone,
    address: row.address,
    is_active: row.is_active,
    is_superuser: row.is_superuser,
    two_factor: row.two_factor_since !== null,
    created_at: row.created_at.toISOString(),
    confirmed_at: row.confirmed_at?.toISOString() ?? null,
    last_login_at: row.last_login_at?.toISOString() ?? null,
  }
}
