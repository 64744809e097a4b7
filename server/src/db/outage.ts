import type { Logger } from 'pino'
import { AppError } from '../errors.ts'

/**
 * The database cannot be used now, and will be again without anybody's doing here: it restarts, cannot be reached, has no
 * room for one more connection, or another process holds its lock. Whether a commit that failed so took effect is not
 * known.
 */
export class DatabaseAway extends AppError {
  /** With a time to come back, which keeps requests from telling the log what it was told once. */
  constructor(cause: unknown) {
    super('unavailable', 'The database cannot be used now. Try again in a few seconds.', {
      cause,
      retryAfterSeconds: 5,
    })
  }
}

/** Also where it is the cause of another failure. */
export function isDatabaseAway(error: unknown): boolean {
  for (let each = error; each instanceof Error; each = each.cause) {
    if (each instanceof DatabaseAway) return true
  }
  return false
}

export function databaseIsFull(cause: unknown): AppError {
  return new AppError(
    'disk_full',
    'The disk of the database is full. Try again once somebody has made room on it.',
    { cause },
  )
}

/** Tells the log when the database goes away and when it is back: once each, however many notice it. */
export interface OutageLog {
  isAway(cause: unknown): void
  isThere(): void
}

/** What answers this soon after a failure may have been on its way before it. */
const SETTLING_MS = 1000

export function outageLog(log: Logger | undefined): OutageLog {
  let since: number | null = null
  let lastFailure = 0
  return {
    isAway(cause) {
      lastFailure = performance.now()
      if (since !== null) return
      since = lastFailure
      log?.error({ err: cause }, 'the database cannot be used now: trying again until it can')
    },
    isThere() {
      if (since === null || performance.now() - lastFailure < SETTLING_MS) return
      const seconds = Math.round((performance.now() - since) / 1000)
      since = null
      log?.info(`the database is back after ${seconds} s`)
    },
  }
}
