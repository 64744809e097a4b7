import type { Logger } from 'pino'
import type { Database, Transacting } from '../db/database.ts'
import { asJson } from '../db/tables.ts'
import type { Clock } from '../ports/clock.ts'

export const AUDIT_EVENTS = [
  'login',
  'login_failed',
  'logout',
  'sessions_ended',
  'refresh_reuse',
  'registered',
  'confirmed',
  'password_reset',
  'password_changed',
  'email_change_requested',
  'email_changed',
  'account_deleted',
  'superuser_created',
  'user_created',
  'user_edited',
  'user_activated',
  'user_deactivated',
  'user_promoted',
  'user_demoted',
  'reset_sent',
  'totp_enabled',
  'totp_disabled',
  'totp_failed',
  'recovery_code_used',
  'recovery_codes_renewed',
  'openid_linked',
  'video_uploaded',
  'video_replaced',
  'video_edited',
  'video_deleted',
  'subtitles_added',
  'subtitles_edited',
  'subtitles_removed',
  'webhook_replayed',
  'webhook_tested',
] as const
export type AuditEvent = (typeof AUDIT_EVENTS)[number]

export interface AuditEntry {
  /** Whose account it is about. */
  userId?: number | null
  /** The superuser who did it to somebody else. */
  byUserId?: number | null
  /** The client's network address. */
  address?: string | null
  /** Small facts; never a secret. Text from clients is stored as JSON, so it can forge no line. */
  details?: Record<string, string | number | boolean | null>
}

export interface Audit {
  /** Never throws: a full audit table must not keep people out. */
  record(event: AuditEvent, entry: AuditEntry): Promise<void>
  /** In the transaction of what it tells of: either both are kept or neither. */
  recordIn(trx: Transacting, event: AuditEvent, entry: AuditEntry): Promise<void>
}

/** Keeps who did what, in the table and as a JSON line in the log. */
export function createAudit(needs: { db: Database; clock: Clock; log: Logger }): Audit {
  const { db, clock, log } = needs

  async function write(on: Database, event: AuditEvent, entry: AuditEntry): Promise<void> {
    const { userId = null, byUserId = null, address = null, details = {} } = entry
    log.info({ ...details, audit: event, userId, byUserId, address }, `audit: ${event}`)
    await on
      .insertInto('audit')
      .values({
        at: clock.now(),
        event,
        user_id: userId,
        by_user_id: byUserId,
        address,
        details: asJson(details),
      })
      .execute()
  }

  return {
    recordIn: write,

    async record(event, entry) {
      try {
        await write(db, event, entry)
      } catch (error) {
        log.error({ err: error, audit: event }, 'could not write the audit entry')
      }
    },
  }
}
