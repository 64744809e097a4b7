import { email as emailField, normaliseEmail } from '@videoflix/contract'
import { isUniqueViolation, transact, type Database, type Engine } from '../../db/database.ts'
import { raiseLastIds } from '../sequences.ts'
import type { LegacyDatabase } from './legacy-database.ts'
import { legacyUser, type LegacyUser } from './legacy-rows.ts'
import type { ImportReport } from './report.ts'

export interface ImportNeeds {
  db: Database
  engine: Engine
  legacy: LegacyDatabase
  report: ImportReport
  /** Nothing is written. */
  isDryRun: boolean
  now: Date
}

/** Ids that are the same person, or the same film, on both sides. */
export interface Imported {
  known: Set<number>
  added: Set<number>
}

/**
 * Accounts with their ids and hashes. Whom our rules take for somebody else's double, or who has no address that we take,
 * is left out and told: nobody is merged by guessing.
 */
export async function importUsers(needs: ImportNeeds): Promise<Imported> {
  const { legacy, report } = needs
  const owners = await countAddresses(legacy)
  const erased = await erasedUsers(needs.db)
  const imported: Imported = { known: new Set(), added: new Set() }
  for await (const row of legacy.rows('users')) {
    const parsed = legacyUser.safeParse(row)
    if (!parsed.success) {
      report.leftOut(`user ${String((row as { id: unknown }).id)}: the row cannot be read`)
      continue
    }
    const user = parsed.data
    const verdict = await judge(needs, user, owners, erased)
    if (verdict === 'known') imported.known.add(user.id)
    else if (verdict === 'new') {
      if (!needs.isDryRun && !(await insert(needs, user))) {
        report.leftOut(
          `user ${user.id} (${user.email}): somebody took its number or address: run this again`,
        )
        continue
      }
      imported.added.add(user.id)
      if (!isVerifiable(user.password)) {
        report.notice(
          `user ${user.id} (${user.email}): the password is kept in a way that we cannot check; “forgot password” makes a new one`,
        )
      }
    } else report.leftOut(`user ${user.id} (${user.email}): ${verdict}`)
  }
  return imported
}

/** How many accounts have the same address by our rules. */
async function countAddresses(legacy: LegacyDatabase): Promise<Map<string, number[]>> {
  const owners = new Map<string, number[]>()
  for await (const row of legacy.rows('users')) {
    const { success, data } = legacyUser.safeParse(row)
    if (!success) continue
    const address = normaliseEmail(data.email)
    owners.set(address, [...(owners.get(address) ?? []), data.id])
  }
  return owners
}

/** `known`, `new`, or why it is left out. */
async function judge(
  { db }: ImportNeeds,
  user: LegacyUser,
  owners: Map<string, number[]>,
  erased: Set<number>,
): Promise<string> {
  const there = await db
    .selectFrom('users')
    .select(['email', 'created_at'])
    .where('id', '=', user.id)
    .executeTakeFirst()
  if (there?.created_at.getTime() === user.date_joined.getTime()) return 'known'
  if (there) {
    return `number ${user.id} is ${there.email} here, an account made before the import: do without this one, or take an empty database and import before the first \`videoflix serve\``
  }
  if (erased.has(user.id)) return 'the account was deleted here'
  const address = normaliseEmail(user.email)
  const doubles = (owners.get(address) ?? []).filter((id) => id !== user.id)
  if (address !== '' && doubles.length > 0) {
    return `user ${doubles.join(', ')} has the same address, apart from case or form: change one in the original, and run this again`
  }
  if (!emailField().safeParse(user.email).success) {
    return 'this is no address that we can send mail to: change it in the original, and run this again'
  }
  const namesake = await db
    .selectFrom('users')
    .select('id')
    .where('email', '=', address)
    .executeTakeFirst()
  // Another import has brought it since the first look.
  if (namesake?.id === user.id) return 'known'
  if (namesake) return `the address belongs to user ${namesake.id} here`
  return 'new'
}

/** Who came from the original and has deleted the account since: somebody who signed up here has left another trace. */
async function erasedUsers(db: Database): Promise<Set<number>> {
  const rows = await db
    .selectFrom('audit')
    .select(['user_id', 'event'])
    .where('event', 'in', ['account_deleted', 'registered', 'user_created', 'superuser_created'])
    .execute()
  const ownIds = new Set(
    rows.filter(({ event }) => event !== 'account_deleted').map(({ user_id: id }) => id),
  )
  return new Set(rows.flatMap(({ user_id: id }) => (id === null || ownIds.has(id) ? [] : id)))
}

/** False where somebody else, such as another import, has taken the number or the address meanwhile. */
async function insert(needs: ImportNeeds, user: LegacyUser): Promise<boolean> {
  try {
    await insertRow(needs, user)
    return true
  } catch (error) {
    if (isUniqueViolation(error)) return false
    throw error
  }
}

async function insertRow({ db, engine }: ImportNeeds, user: LegacyUser): Promise<void> {
  const address = normaliseEmail(user.email)
  await transact(db, async (trx) => {
    await trx
      .insertInto('users')
      .values({
        id: user.id,
        email: address,
        username: normaliseEmail(user.username) === address ? null : user.username,
        password_hash: hashOf(user.password),
        phone: user.phone === '' ? null : user.phone,
        address: user.address === '' ? null : user.address,
        is_active: user.is_active,
        // Who has signed in was confirmed, and who is inactive nevertheless was shut out.
        confirmed_at: user.is_active || user.last_login !== null ? user.date_joined : null,
        is_superuser: user.is_superuser,
        created_at: user.date_joined,
        last_login_at: user.last_login,
      })
      .execute()
    await raiseLastIds(trx, engine, { users: user.id })
  })
}

/** Django writes its own name of the algorithm before that of Argon2; the rest is the usual form. */
function hashOf(password: string): string {
  return password.startsWith('argon2$') ? password.slice('argon2'.length) : password
}

function isVerifiable(password: string): boolean {
  return /^(pbkdf2_sha256\$|argon2\$argon2|!)/.test(password)
}
