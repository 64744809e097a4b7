import { auditRoutes } from '../audit/routes.ts'
import { favoriteRoutes } from '../favorites/routes.ts'
import { healthCheck } from '../health/health.ts'
import { createAuthentication } from '../http/authentication.ts'
import { describeRoutes, documentationRoutes } from '../http/documentation.ts'
import { createOriginRules } from '../http/origin.ts'
import { createServer, type Server } from '../http/server.ts'
import { sharedRateLimits } from '../http/shared-rate-limits.ts'
import { pageRoutes } from '../pages/routes.ts'
import { playbackRoutes } from '../playback/routes.ts'
import { mediaRoutes } from '../storage/routes.ts'
import { subtitleRoutes } from '../subtitles/routes.ts'
import { createSubtitleLibrary } from '../subtitles/subtitles.ts'
import { TASK_BOARD_PATH, taskBoardRoutes } from '../task-board/routes.ts'
import { directUploadRoutes } from '../uploads/direct-routes.ts'
import { formUploadRoutes } from '../uploads/form-routes.ts'
import { startUploadSweep } from '../uploads/sweep.ts'
import { tusRoutes } from '../uploads/tus-routes.ts'
import { createTusUploads } from '../uploads/tus.ts'
import { uploadLocker } from '../uploads/upload-locks.ts'
import { adminVideoRoutes } from '../videos/admin-routes.ts'
import { createCatalogue } from '../videos/catalogue.ts'
import { videoEventsRoute } from '../videos/events-route.ts'
import { createVideoEvents } from '../videos/events.ts'
import { catalogueRoutes } from '../videos/routes.ts'
import { createDeliveries } from '../webhooks/deliveries.ts'
import { webhookRoutes } from '../webhooks/routes.ts'
import { addAccountRoutes } from './account-routes.ts'
import type { Foundation } from './foundation.ts'
import type { ProcessFacts } from './process-facts.ts'
import type { Services } from './services.ts'
import { placeOfUploads } from './upload-place.ts'

/** The server with all its routes; not listening yet. */
export async function createSite(
  foundation: Foundation,
  services: Services,
  process: ProcessFacts,
): Promise<Server> {
  const { settings, backendOrigin, log, clock, db, redis, doorbell, mailbox } = foundation
  const { sharedCounters, monitoring } = foundation
  const { media, bucket } = foundation.stores
  const { audit, sessions, urls, playlists, playback, library, index, adminVideos } = services
  const { staging, intake, directUploads } = services
  const { urlPath, urlTtlMs, accelPath } = settings.media
  const { cookies } = settings
  const { mayMonitor } = monitoring
  const authentication = createAuthentication({ sessions, cookies, mayMonitor })
  const origins = createOriginRules(settings, backendOrigin)
  const isHttps = backendOrigin.startsWith('https:')
  const server = await createServer({
    settings,
    log,
    authentication,
    origins,
    isHttps,
    rateLimits: sharedCounters ? sharedRateLimits(sharedCounters) : undefined,
    watch: (made) => monitoring.watchServer(made),
  })
  const catalogue = createCatalogue({
    db,
    clock,
    doorbell,
    urls,
    index,
    masterUrl: (videoId) => playback.masterUrl(videoId),
    mediaUrlTtlMs: urlTtlMs,
  })
  const events = createVideoEvents({ db, log, adminVideos })
  const checkHealth = healthCheck({ db, redis })
  const placeForUploads = await placeOfUploads(foundation, services)
  const uploads = createTusUploads({
    settings: settings.uploads,
    place: placeForUploads.place,
    locker: uploadLocker({ db, clock, process }),
    library,
    onError: (error) => log.warn({ err: error }, 'upload'),
  })
  const sweep = startUploadSweep({ clock, log, staging, uploads, directUploads })

  await describeRoutes(server, settings.cookies.accessName)
  monitoring.addRoutes(server, checkHealth)
  addAccountRoutes(server, foundation, services)
  auditRoutes(server, { db, backendOrigin })
  const deliveries = createDeliveries({
    ...{ db, clock, doorbell, audit },
    receivers: settings.webhooks.receivers,
  })
  webhookRoutes(server, { deliveries, backendOrigin })
  favoriteRoutes(server, { db, clock })
  catalogueRoutes(server, { catalogue, backendOrigin })
  playbackRoutes(server, { playback, playlists, clock })
  if (!bucket) mediaRoutes(server, { db, clock, media, urls, urlPath, accelPath })
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
  server.addHook('onListen', (done) => {
    index.catchUp().catch((error: unknown) => log.warn({ err: error }, 'search index'))
    done()
  })
  server.addHook('onClose', async () => {
    catalogue.close()
    events.close()
    await sweep.stop()
    placeForUploads.close()
  })
  return server
}
