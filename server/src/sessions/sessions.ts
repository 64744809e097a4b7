import { lockUser } from '../accounts/users.ts'
import type { Audit } from '../audit/audit.ts'
import type { Keys } from '../config/keys.ts'
import type { Settings } from '../config/settings.ts'
import { transact, type Database, type Transacting } from '../db/database.ts'
import type { SessionRow, User } from '../db/tables.ts'
import { AppError } from '../errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { Doorbell } from '../ports/doorbell/doorbell.ts'
import { newId, newSecret } from '../ports/ids.ts'
import { readAccessToken, signAccessToken } from './access-token.ts'
import { isRefreshTokenOf, parseRefreshToken, writeRefreshToken } from './refresh-token.ts'
import { SessionChecks } from './session-checks.ts'
import * as rows from './session-rows.ts'
import type { Refusal, Viewer } from './viewer.ts'

/** What a client holds: both tokens, and until when. */
export interface SessionTokens {
  issuedAt: Date
  accessToken: string
  accessExpiresAt: Date
  refreshToken: string
  refreshExpiresAt: Date
}

export interface Client {
  address: string
  userAgent: string
}

export interface Sessions {
  /**
   * Always a new session. Throws `unauthenticated` when the account was shut, or its password changed, since `user` was
   * read: a sign-in with the old password must not outlive the change that ended the others.
   */
  start(user: User, options: { isRemembered: boolean; client: Client }): Promise<SessionTokens>
  /** Null when the token opens nothing: unknown, ended, expired, or used again after its time. */
  refresh(refreshToken: string, client: Client): Promise<SessionTokens | null>
  /** Ends the sessions that the tokens belong to, mostly one, and says whose they were; unknown tokens are fine. */
  end(tokens: {
    accessToken: string | null
    refreshToken: string | null
  }): Promise<{ userId: number }[]>
  /** Whether a viewer is still who they were when they were let in. Looks at the database. */
  isLive(viewer: Viewer): Promise<boolean>
  /** Whose token this was at a check of the last two seconds; null when there was none. */
  recall(accessToken: string): Viewer | null
  /** Who an access token stands for. */
  check(accessToken: string): Promise<Viewer | Refusal>
  revokeAllOf(trx: Transacting, userId: number, now: Date): Promise<void>
  /**
   * Ends all sessions of the user, and goes on with one of them under another name: its tokens are void as well, its end
   * stays what it was. Null when that one had ended.
   */
  renewOneOf(
    trx: Transacting,
    userId: number,
    sessionId: string,
    now: Date,
  ): Promise<SessionRow | null>
  /** What the client of a session is to hold from now on. After the commit. */
  tokensOf(session: SessionRow, now: Date): Promise<SessionTokens>
  /**
   * After a commit that ended sessions or changed users: the next check looks at the database, here and, as soon as the
   * doorbell reaches them, at other servers.
   */
  forgetChecks(): void
}

export function createSessions(needs: {
  db: Database
  clock: Clock
  doorbell: Doorbell
  keys: Keys
  audit: Audit
  settings: Settings['sessions']
}): Sessions {
  const { db, clock, doorbell, keys, audit, settings } = needs
  const checks = new SessionChecks()
  doorbell.onRing('sessions', () => checks.forgetAll())

  function forgetChecks(): void {
    checks.forgetAll()
    doorbell.ring('sessions')
  }

  async function tokensOf(session: SessionRow, now: Date): Promise<SessionTokens> {
    const accessEnd = Math.min(now.getTime() + settings.accessTtlMs, session.expires_at.getTime())
    const accessExpiresAt = new Date(accessEnd)
    const { id: sessionId, user_id: userId, counter } = session
    return {
      issuedAt: now,
      accessToken: await signAccessToken(
        keys,
        { sessionId, userId, expiresAt: accessExpiresAt },
        now,
      ),
      accessExpiresAt,
      refreshToken: writeRefreshToken(keys, session.key, { sessionId, counter }),
      refreshExpiresAt: session.expires_at,
    }
  }

  /** Under the row's lock: which session the token now stands for, or that it was stolen. */
  async function rotate(
    trx: Transacting,
    text: string,
    now: Date,
  ): Promise<{ session: SessionRow } | { reused: SessionRow } | null> {
    const token = parseRefreshToken(text)
    const session = token && (await rows.lockSession(trx, token.sessionId))
    if (!token || !session || !isRefreshTokenOf(keys, session.key, text)) return null
    if (session.revoked_at !== null || session.expires_at <= now) return null
    const user = await trx
      .selectFrom('users')
      .select('is_active')
      .where('id', '=', session.user_id)
      .executeTakeFirst()
    if (!user?.is_active) return null
    if (token.counter === session.counter) {
      const counter = session.counter + 1
      await rows.advanceSession(trx, session.id, counter, now)
      return { session: { ...session, counter } }
    }
    const isWithinGrace = now.getTime() - session.rotated_at.getTime() <= settings.graceMs
    // Two refreshes at once, or a lost reply: the same successor again.
    if (token.counter === session.counter - 1 && isWithinGrace) return { session }
    await rows.revokeSession(trx, session.id, now)
    return { reused: session }
  }

  return {
    async start(user, { isRemembered, client }) {
      const now = clock.now()
      const lifeMs = isRemembered ? settings.rememberTtlMs : settings.refreshTtlMs
      const session: SessionRow = {
        id: newId(),
        user_id: user.id,
        key: newSecret(),
        counter: 0,
        rotated_at: now,
        expires_at: new Date(now.getTime() + lifeMs),
        is_remembered: isRemembered,
        revoked_at: null,
        user_agent: client.userAgent.slice(0, 256),
        address: client.address,
        created_at: now,
      }
      await transact(db, async (trx) => {
        const current = await lockUser(trx, user.id)
        if (!current?.is_active || isOtherPassword(current, user)) throw changedMeanwhile()
        await rows.insertSession(trx, session)
      })
      return await tokensOf(session, now)
    },

    async refresh(refreshToken, client) {
      const now = clock.now()
      const outcome = await transact(db, (trx) => rotate(trx, refreshToken, now))
      if (outcome && 'reused' in outcome) {
        forgetChecks()
        const { id, user_id: userId } = outcome.reused
        const details = { session: id }
        await audit.record('refresh_reuse', { userId, address: client.address, details })
        return null
      }
      return outcome && (await tokensOf(outcome.session, now))
    },

    async end({ accessToken, refreshToken }) {
      const now = clock.now()
      const ended = new Map<string, number>()
      for (const session of [
        await sessionOfRefresh(refreshToken),
        await sessionOfAccess(accessToken, now),
      ]) {
        if (session && session.revoked_at === null) ended.set(session.id, session.user_id)
      }
      for (const id of ended.keys()) await rows.revokeSession(db, id, now)
      // One that had ended already is no news for others.
      if (ended.size > 0) forgetChecks()
      else checks.forgetAll()
      return [...ended.values()].map((userId) => ({ userId }))
    },

    async isLive(viewer) {
      const session = await rows.findSessionWithUser(db, viewer.sessionId)
      if (!session?.is_active || session.revoked_at !== null) return false
      return session.expires_at > clock.now() && session.is_superuser === viewer.isSuperuser
    },

    recall: (accessToken) => checks.find(accessToken, clock.now().getTime()),

    async check(accessToken) {
      const now = clock.now()
      const known = checks.find(accessToken, now.getTime())
      if (known) return known
      const token = await readAccessToken(keys, accessToken, now)
      if (typeof token === 'string') return token
      const { age } = checks
      const session = await rows.findSessionWithUser(db, token.sessionId)
      if (!session) {
        return (await rows.userExists(db, token.userId)) ? 'invalid' : 'user_not_found'
      }
      if (session.user_id !== token.userId) return 'invalid'
      if (!session.is_active) return 'user_inactive'
      if (session.revoked_at !== null || session.expires_at <= now) return 'expired'
      const viewer: Viewer = {
        userId: session.user_id,
        email: session.email,
        isSuperuser: session.is_superuser,
        sessionId: session.id,
      }
      checks.remember(accessToken, viewer, {
        age,
        tokenExpiresAt: token.expiresAt.getTime(),
        now: now.getTime(),
      })
      return viewer
    },

    revokeAllOf: (trx, userId, now) => rows.revokeSessionsOf(trx, userId, now),

    async renewOneOf(trx, userId, sessionId, now) {
      const session = await rows.lockSession(trx, sessionId)
      await rows.revokeSessionsOf(trx, userId, now)
      const isLive = session?.revoked_at === null && session.expires_at > now
      if (!isLive || session.user_id !== userId) return null
      const renewed = { ...session, id: newId(), key: newSecret(), counter: 0, rotated_at: now }
      await rows.insertSession(trx, renewed)
      return renewed
    },

    tokensOf,
    forgetChecks,
  }

  async function sessionOfRefresh(text: string | null): Promise<SessionRow | null> {
    const claimed = text === null ? null : parseRefreshToken(text)
    if (text === null || !claimed) return null
    const session = await findSession(claimed.sessionId)
    return session && isRefreshTokenOf(keys, session.key, text) ? session : null
  }

  async function sessionOfAccess(text: string | null, now: Date): Promise<SessionRow | null> {
    const token = text === null ? 'invalid' : await readAccessToken(keys, text, now)
    return typeof token === 'string' ? null : await findSession(token.sessionId)
  }

  async function findSession(id: string): Promise<SessionRow | null> {
    const row = await db.selectFrom('sessions').selectAll().where('id', '=', id).executeTakeFirst()
    return row ?? null
  }
}

function isOtherPassword(one: User, other: User): boolean {
  return one.password_changed_at?.getTime() !== other.password_changed_at?.getTime()
}

function changedMeanwhile(): AppError {
  return new AppError('unauthenticated', 'This account was changed just now: sign in again.')
}
