import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { createAccountLinks } from './accounts/account-links.ts'
import { sendMailHandler } from './accounts/account-mails.ts'
import { createAccounts, type Accounts } from './accounts/accounts.ts'
import { adminUserRoutes } from './accounts/admin-user-routes.ts'
import { createAdminUsers } from './accounts/admin-users.ts'
import { emailChangeRoute } from './accounts/email-change-route.ts'
import { createEmailChange } from './accounts/email-change.ts'
import { ownAccountRoutes } from './accounts/own-account-routes.ts'
import { createOwnAccount } from './accounts/own-account.ts'
import { createPasswords } from './accounts/passwords.ts'
import { accountRoutes } from './accounts/routes.ts'
import { createAudit } from './audit/audit.ts'
import { auditRoutes } from './audit/routes.ts'
import { deriveKeys, keptSecret } from './config/keys.ts'
import type { Settings } from './config/settings.ts'
import { openDatabase, type Database } from './db/database.ts'
import { outdatedRows } from './db/outdated-rows.ts'
import { favoriteRoutes } from './favorites/routes.ts'
import { healthCheck } from './health/health.ts'
import { healthRoutes } from './health/routes.ts'
import { createAuthentication } from './http/authentication.ts'
import { describeRoutes, documentationRoutes } from './http/documentation.ts'
import { createOriginRules } from './http/origin.ts'
import { createServer, type Server } from './http/server.ts'
import { sharedRateLimits } from './http/shared-rate-limits.ts'
import { createOpenIdAccounts } from './openid/accounts.ts'
import { createOpenIdProvider } from './openid/provider.ts'
import { OPENID_CALLBACK_PATH, openIdRoutes } from './openid/routes.ts'
import { createOpenIdSignIn } from './openid/sign-in.ts'
import { pageRoutes } from './pages/routes.ts'
import { createPlayback } from './playback/playback.ts'
import { playbackRoutes } from './playback/routes.ts'
import { systemClock, type Clock } from './ports/clock.ts'
import { inProcessCounters } from './ports/counters/in-process.ts'
import { redisCounters } from './ports/counters/redis.ts'
import type { Doorbell } from './ports/doorbell/doorbell.ts'
import { inProcessDoorbell } from './ports/doorbell/in-process.ts'
import { redisDoorbell } from './ports/doorbell/redis.ts'
import { fileMailer, withMailbox, type Mailbox } from './ports/mailer/file-mailer.ts'
import { logMailer } from './ports/mailer/log-mailer.ts'
import type { Mailer } from './ports/mailer/mailer.ts'
import { smtpMailer } from './ports/mailer/smtp-mailer.ts'
import type { ObjectStore } from './ports/object-store/object-store.ts'
import type { RedisLink } from './ports/redis/redis.ts'
import { processingHandlers } from './processing/handlers.ts'
import { removeStaleWork } from './processing/stale-work.ts'
import { ownSessionRoutes } from './sessions/own-session-routes.ts'
import { createLoginThrottle } from './sessions/login-throttle.ts'
import { sessionRoutes } from './sessions/routes.ts'
import { createSessions } from './sessions/sessions.ts'
import { createMediaUrls } from './storage/media-urls.ts'
import { mediaRoutes } from './storage/routes.ts'
import { createSignedUrls } from './storage/signed-urls.ts'
import { openStores, type Bucket } from './storage/stores.ts'
import { subtitleRoutes } from './subtitles/routes.ts'
import { createSubtitleLibrary } from './subtitles/subtitles.ts'
import { TASK_BOARD_PATH, taskBoardRoutes } from './task-board/routes.ts'
import { newOwner } from './tasks/owner.ts'
import { createWorker, type Worker } from './tasks/worker.ts'
import { twoFactorRoutes } from './two-factor/routes.ts'
import { createTwoFactor } from './two-factor/two-factor.ts'
import { directUploadRoutes } from './uploads/direct-routes.ts'
import { createDirectUploads } from './uploads/direct-uploads.ts'
import { formUploadRoutes } from './uploads/form-routes.ts'
import { createIntake, type Intake } from './uploads/intake.ts'
import { createStaging, type Staging } from './uploads/staging.ts'
import { startUploadSweep } from './uploads/sweep.ts'
import { createTusUploads } from './uploads/tus.ts'
import { tusRoutes } from './uploads/tus-routes.ts'
import { adminVideoRoutes } from './videos/admin-routes.ts'
import { createAdminVideos } from './videos/admin-videos.ts'
import { createCatalogue } from './videos/catalogue.ts'
import { createVideoEvents } from './videos/events.ts'
import { videoEventsRoute } from './videos/events-route.ts'
import { createLibrary, type Library } from './videos/library.ts'
import { catalogueRoutes } from './videos/routes.ts'
import { tidyVideoHandler } from './videos/tidy-video.ts'
import { createDeliveries } from './webhooks/deliveries.ts'
import { eventRecorder } from './webhooks/outbox.ts'
import { webhookRoutes } from './webhooks/routes.ts'
import { sendWebhookHandler } from './webhooks/send-webhook.ts'

/** What every command stands on: the services, wired once. */
export interface App {
  db: Database
  clock: Clock
  accounts: Accounts
  library: Library
  intake: Intake
  staging: Staging
  originals: ObjectStore
  intermediates: ObjectStore
  media: ObjectStore
  /** Null where media is sent by this server. */
  bucket: Bucket | null
  mailer: Mailer
  /** Null where there is none. */
  redis: RedisLink | null
  createWorker(process: ProcessFacts): Worker
  /** Routes and all; not listening yet. */
  createServer(): Promise<Server>
  close(): Promise<void>
}

export interface ProcessFacts {
  pid: number
  isRunning(pid: number): boolean
}

/** The composition root. `backendOrigin` is where clients reach the server; it is known by now. */
export async function createApp(needs: {
  settings: Settings
  backendOrigin: string
  log: Logger
  clock?: Clock
}): Promise<App> {
  const { settings, backendOrigin, log, clock = systemClock } = needs
  const secret = settings.secretKey ?? (await keptSecret(settings.dataDir))
  const keys = deriveKeys(secret, settings.secretKeyFallbacks)
  const db = await openDatabase(settings.database)
  const redis = await linkToRedis(settings, log)
  const doorbell: Doorbell = redis ? redisDoorbell(redis) : inProcessDoorbell()
  const shared = redis && redisCounters(redis, keys.signing('counters'))
  const stores = await openStores(settings)
  const { originals, intermediates, media, bucket } = stores
  const { mailer, mailbox } = mailers(settings, log)

  const audit = createAudit({ db, clock, log })
  const passwords = createPasswords(settings.passwords)
  const sessions = createSessions({
    db,
    clock,
    doorbell,
    keys,
    audit,
    settings: settings.sessions,
  })
  const throttle = createLoginThrottle({
    db,
    clock,
    counters: shared ?? inProcessCounters,
    free: settings.rateLimits.loginAccount,
  })
  const twoFactor = createTwoFactor({ db, clock, keys, audit, passwords, throttle })
  const frontendUrl = settings.frontendUrl ?? `${backendOrigin}/`
  const links = createAccountLinks({
    backendOrigin,
    resetPasswordUrl: settings.resetPasswordUrl ?? `${backendOrigin}/reset-password/`,
  })
  const ofAccounts = { db, clock, doorbell, audit, passwords, sessions }
  const accounts = createAccounts({ ...ofAccounts, links: settings.links })

  const { urlPath, urlTtlMs } = settings.media
  const ofMedia =
    bucket?.urls ?? createSignedUrls({ keys, purpose: 'media-url', backendOrigin, urlPath })
  const urls = createMediaUrls({ signed: ofMedia, ttlMs: urlTtlMs })
  const playlists = createSignedUrls({
    keys,
    purpose: 'playlist-url',
    backendOrigin,
    urlPath: '/content/',
  })
  const playback = createPlayback({ db, clock, playlists, media: ofMedia, ttlMs: urlTtlMs })
  const { receivers } = settings.webhooks
  const recordEvent = eventRecorder(receivers)
  const library = createLibrary({ db, clock, doorbell, audit, recordEvent })
  const adminVideos = createAdminVideos({ db, clock, urls })
  const staging = createStaging(settings.uploads)
  const intake = createIntake({ staging, originals, library })
  const directUploads =
    bucket &&
    createDirectUploads({
      db,
      clock,
      settings: settings.uploads,
      parts: bucket.uploads,
      originals,
      library,
    })

  async function createRoutes(): Promise<Server> {
    const authentication = createAuthentication({ sessions, cookies: settings.cookies })
    const origins = createOriginRules(settings, backendOrigin)
    const isHttps = backendOrigin.startsWith('https:')
    const server = await createServer({
      settings,
      log,
      authentication,
      origins,
      isHttps,
      rateLimits: shared ? sharedRateLimits(shared) : undefined,
    })
    const catalogue = createCatalogue({
      db,
      clock,
      doorbell,
      urls,
      masterUrl: (videoId) => playback.masterUrl(videoId),
      mediaUrlTtlMs: urlTtlMs,
    })
    const events = createVideoEvents({ db, log, adminVideos })
    const checkHealth = healthCheck({ db, redis })
    const uploads = createTusUploads({
      settings: settings.uploads,
      staging,
      intake,
      library,
      onError: (error) => log.warn({ err: error }, 'upload'),
    })
    const sweep = startUploadSweep({
      db,
      clock,
      log,
      staging,
      originals,
      uploads,
      directUploads,
      ttlMs: settings.uploads.ttlMs,
    })

    await describeRoutes(server, settings.cookies.accessName)
    healthRoutes(server, checkHealth)
    accountRoutes(server, {
      accounts,
      links,
      frontendUrl,
      isDebug: settings.debug,
      rateLimits: settings.rateLimits,
    })
    sessionRoutes(server, {
      db,
      clock,
      audit,
      passwords,
      sessions,
      secondFactor: twoFactor,
      throttle,
      cookies: settings.cookies,
      loginRate: settings.rateLimits.login,
    })
    twoFactorRoutes(server, { twoFactor, loginRate: settings.rateLimits.login })
    const emailChange = createEmailChange({ ...ofAccounts, throttle })
    ownAccountRoutes(server, {
      ownAccount: createOwnAccount({ ...ofAccounts, throttle, secondFactor: twoFactor }),
      emailChange,
      cookies: settings.cookies,
      loginRate: settings.rateLimits.login,
      mailRate: settings.rateLimits.forgot,
    })
    emailChangeRoute(server, { emailChange, links, frontendUrl })
    ownSessionRoutes(server, { db, clock, audit, sessions, cookies: settings.cookies })
    adminUserRoutes(server, { adminUsers: createAdminUsers(ofAccounts), backendOrigin })
    auditRoutes(server, { db, backendOrigin })
    const deliveries = createDeliveries({ db, clock, doorbell, audit, receivers })
    webhookRoutes(server, { deliveries, backendOrigin })
    if (settings.openId) {
      openIdRoutes(server, {
        signIn: createOpenIdSignIn({
          db,
          clock,
          keys,
          audit,
          sessions,
          secondFactor: twoFactor,
          provider: createOpenIdProvider({
            settings: settings.openId,
            redirectUri: `${backendOrigin}${OPENID_CALLBACK_PATH}`,
            log,
          }),
          accounts: createOpenIdAccounts({
            db,
            clock,
            audit,
            passwords,
            settings: settings.openId,
          }),
          trustsTwoFactor: settings.openId.trustsTwoFactor,
        }),
        audit,
        cookies: settings.cookies,
        loginRate: settings.rateLimits.login,
        frontendUrl,
        providerName: settings.openId.name,
      })
    }
    favoriteRoutes(server, { db, clock })
    catalogueRoutes(server, catalogue)
    playbackRoutes(server, { playback, playlists, clock })
    if (!bucket) mediaRoutes(server, { db, clock, media, urls, urlPath })
    if (directUploads) directUploadRoutes(server, { directUploads, adminVideos })
    adminVideoRoutes(server, { adminVideos, library, backendOrigin })
    const ofSubtitles = { db, clock, doorbell, audit, media, staging }
    await subtitleRoutes(server, { subtitleLibrary: createSubtitleLibrary(ofSubtitles) })
    await server.register((scope) =>
      formUploadRoutes(scope as unknown as Server, {
        settings: settings.uploads,
        staging,
        intake,
        library,
        adminVideos,
      }),
    )
    await server.register(async (scope) => tusRoutes(scope as unknown as Server, { db, uploads }))
    await videoEventsRoute(server, { events, sessions })
    await taskBoardRoutes(server, { db, clock })
    await documentationRoutes(server)
    await pageRoutes(server, {
      checkHealth,
      mailbox,
      passwordMinLength: settings.passwords.minLength,
      mediaOrigin: bucket?.origin ?? null,
      // The original had its job list where it had Redis.
      jobsPath: redis ? TASK_BOARD_PATH : '/admin/',
    })
    server.addHook('onClose', async () => {
      catalogue.close()
      events.close()
      await sweep.stop()
    })
    return server
  }

  const forgetOutdated = outdatedRows({ db, clock, auditKeptMs: settings.auditKeptMs })

  return {
    db,
    clock,
    accounts,
    library,
    intake,
    staging,
    originals,
    intermediates,
    media,
    bucket,
    mailer,
    redis,
    createServer: createRoutes,
    createWorker: (process) =>
      createWorker({
        db,
        clock,
        doorbell,
        log,
        settings: settings.tasks,
        owner: newOwner(process.pid),
        isRunning: (pid) => process.isRunning(pid),
        async alsoSweep() {
          await removeStaleWork(db, settings.tasks.workDir)
          await forgetOutdated()
          await stores.tidy()
        },
        handlers: {
          ...processingHandlers({
            db,
            log,
            doorbell,
            originals,
            intermediates,
            media,
            tools: settings.ffmpeg,
            workDir: settings.tasks.workDir,
            threads: availableParallelism(),
            stallMs: settings.processing.stallMs,
            planning: {
              rungs: settings.processing.ladder,
              chunkMinDurationMs: settings.processing.chunkMinDurationMs,
            },
            publication: {
              isEarly: settings.processing.earlyReady,
              keepsOriginals: settings.processing.keepOriginal,
              recordEvent,
            },
          }),
          tidy_video: tidyVideoHandler({ db, originals, intermediates, media }),
          send_mail: sendMailHandler({ db, mailer, links, lifetimes: settings.links }),
          send_webhook: sendWebhookHandler({ db, clock, settings: settings.webhooks }),
        },
      }),
    async close() {
      await doorbell.close()
      redis?.close()
      stores.close()
      await db.destroy()
    },
  }
}

/** The client is not loaded where there is no Redis. */
async function linkToRedis({ redis }: Settings, log: Logger): Promise<RedisLink | null> {
  if (!redis) return null
  const { openRedis } = await import('./ports/redis/redis.ts')
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
