import type { Logger } from 'pino'
import type { Database } from '../db/database.ts'
import { asJson } from '../db/tables.ts'
import type { Clock } from '../ports/clock.ts'

export type AuditEvent =
  | 'login'
  | 'login_failed'
  | 'logout'
  | 'refresh_reuse'
  | 'registered'
  | 'confirmed'
  | 'password_reset'
  | 'superuser_created'
  | 'totp_enabled'
  | 'totp_disabled'
  | 'totp_failed'
  | 'recovery_code_used'
  | 'recovery_codes_renewed'
  | 'openid_linked'
  | 'video_uploaded'
  | 'video_replaced'
  | 'video_edited'
  | 'video_deleted'

export interface AuditEntry {
  userId?: number | null
  /** The client's network address. */
  address?: string | null
  /** Small facts; never a secret. Text from clients is stored as JSON, so it can forge no line. */
  details?: Record<string, string | number | boolean | null>
}

export interface Audit {
  /** Never throws: a full audit table must not keep people out. */
  record(event: AuditEvent, entry: AuditEntry): Promise<void>
}

/** Keeps who did what, in the table and as a JSON line in the log. */
export function createAudit(needs: { db: Database; clock: Clock; log: Logger }): Audit {
  const { db, clock, log } = needs
  return {
    async record(event, { userId = null, address = null, details = {} }) {
      log.info({ audit: event, userId, address, ...details }, `audit: ${event}`)
      try {
        await db
          .insertInto('audit')
          .values({ at: clock.now(), event, user_id: userId, address, details: asJson(details) })
          .execute()
      } catch (error) {
        log.error({ err: error, audit: event }, 'could not write the audit entry')
      }
    },
  }
}
