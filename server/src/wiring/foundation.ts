import { join } from 'node:path'
import type { Logger } from 'pino'
import { deriveKeys, keptSecret } from '../config/keys.ts'
import type { Keys } from '../config/keys.ts'
import type { Settings } from '../config/settings.ts'
import { openDatabase, type Database } from '../db/database.ts'
import { createMonitoring, type Monitoring } from '../monitoring.ts'
import type { Clock } from '../ports/clock.ts'
import type { Counters } from '../ports/counters/counters.ts'
import { redisCounters } from '../ports/counters/redis.ts'
import type { Doorbell } from '../ports/doorbell/doorbell.ts'
import { inProcessDoorbell } from '../ports/doorbell/in-process.ts'
import { redisDoorbell } from '../ports/doorbell/redis.ts'
import { fileMailer, withMailbox, type Mailbox } from '../ports/mailer/file-mailer.ts'
import { logMailer } from '../ports/mailer/log-mailer.ts'
import type { Mailer } from '../ports/mailer/mailer.ts'
import { smtpMailer } from '../ports/mailer/smtp-mailer.ts'
import type { RedisLink } from '../ports/redis/redis.ts'
import { openStores } from '../storage/stores.ts'
import type { Stores } from '../storage/stores.ts'

/** What everything else stands on: the keys, and the ways to the outside. */
export interface Foundation {
  settings: Settings
  backendOrigin: string
  log: Logger
  clock: Clock
  keys: Keys
  db: Database
  /** Null where there is none. */
  redis: RedisLink | null
  doorbell: Doorbell
  /** Of all servers together; null where each counts for itself. */
  sharedCounters: Counters | null
  stores: Stores
  mailer: Mailer
  /** Null without DEBUG. */
  mailbox: Mailbox | null
  monitoring: Monitoring
}

export async function layFoundation(needs: {
  settings: Settings
  backendOrigin: string
  log: Logger
  clock: Clock
  outlivesOutages: boolean
}): Promise<Foundation> {
  const { settings, log, clock, outlivesOutages } = needs
  const secret = settings.secretKey ?? (await keptSecret(settings.dataDir))
  const keys = deriveKeys(secret, settings.secretKeyFallbacks)
  const db = await openDatabase(settings.database, outlivesOutages ? log : undefined)
  const redis = await linkToRedis(settings, log)
  const doorbell: Doorbell = redis ? redisDoorbell(redis) : inProcessDoorbell()
  const sharedCounters = redis && redisCounters(redis, keys.signing('counters'))
  const stores = await openStores(settings)
  const { mailer, mailbox } = mailers(settings, log)
  const ofMonitoring = { settings: settings.monitoring, db, clock, redis, log }
  const monitoring = await createMonitoring(ofMonitoring)
  return {
    ...needs,
    ...{ keys, db, redis, doorbell, sharedCounters, stores, mailer, mailbox, monitoring },
  }
}

/** The client is not loaded where there is no Redis. */
async function linkToRedis({ redis }: Settings, log: Logger): Promise<RedisLink | null> {
  if (!redis) return null
  const { openRedis } = await import('../ports/redis/redis.ts')
  return openRedis(redis, log)
}

function mailers(settings: Settings, log: Logger): { mailer: Mailer; mailbox: Mailbox | null } {
  const mailer = plainMailer(settings, log)
  if (!settings.debug) return { mailer, mailbox: null }
  const recording = withMailbox(mailer, join(settings.dataDir, 'mailbox'))
  return { mailer: recording, mailbox: recording }
}

function plainMailer({ mail, debug }: Settings, log: Logger): Mailer {
  if (mail.kind === 'smtp') return smtpMailer(mail)
  if (mail.kind === 'file') return fileMailer(mail.folder, mail.from)
  return logMailer(log, { showText: debug })
}
