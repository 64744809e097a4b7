import { createAccountLinks } from '../accounts/account-links.ts'
import { createAccounts } from '../accounts/accounts.ts'
import { createPasswords } from '../accounts/passwords.ts'
import { createAudit } from '../audit/audit.ts'
import { createPlayback } from '../playback/playback.ts'
import { inProcessCounters } from '../ports/counters/in-process.ts'
import { createLoginThrottle } from '../sessions/login-throttle.ts'
import { createSessions } from '../sessions/sessions.ts'
import { createMediaUrls } from '../storage/media-urls.ts'
import { createSignedUrls } from '../storage/signed-urls.ts'
import { createTwoFactor } from '../two-factor/two-factor.ts'
import { createDirectUploads } from '../uploads/direct-uploads.ts'
import { createIntake } from '../uploads/intake.ts'
import { createStaging } from '../uploads/staging.ts'
import { createAdminVideos } from '../videos/admin-videos.ts'
import { createLibrary } from '../videos/library.ts'
import { createSearchIndex } from '../videos/search-index.ts'
import { eventRecorder } from '../webhooks/outbox.ts'
import type { Foundation } from './foundation.ts'

export type Services = ReturnType<typeof createServices>

/** What the product does, each made of exactly what it uses. */
export function createServices(foundation: Foundation) {
  const { settings, backendOrigin, log, clock, keys, db, doorbell, sharedCounters } = foundation
  const { originals, bucket } = foundation.stores

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
    counters: sharedCounters ?? inProcessCounters,
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
  const index = createSearchIndex({ db, engine: settings.database.kind })
  const adminVideos = createAdminVideos({ db, clock, urls, index })
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

  return {
    ...{
      audit,
      passwords,
      sessions,
      throttle,
      twoFactor,
      frontendUrl,
      links,
      ofAccounts,
      accounts,
    },
    ...{ urls, playlists, playback, recordEvent, library, index, adminVideos },
    ...{ staging, intake, directUploads },
  }
}
