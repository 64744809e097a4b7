import type { Playback as PlaybackObject } from '@videoflix/contract'
import type { Database } from '../db/database.ts'
import type { SourceRow } from '../db/tables.ts'
import { AppError } from '../errors.ts'
import { dashManifest } from '../media/playlists/dash.ts'
import { masterPlaylist } from '../media/playlists/hls-master.ts'
import { languageTag } from '../media/playlists/language.ts'
import type { Presentation } from '../media/playlists/presentation.ts'
import { storyboardVtt } from '../media/storyboard.ts'
import type { Clock } from '../ports/clock.ts'
import { expiryOf, type SignedUrls } from '../storage/signed-urls.ts'
import { findMediaPlaylist } from './media-playlist.ts'
import {
  findPlayingSource,
  listAudioTracks,
  listFragments,
  listRenditions,
  listSubtitles,
} from './playback-rows.ts'
import { presentationOf } from './presentation-of-rows.ts'

/** By what right somebody asks: a signed URL, or a session. */
export interface Permit {
  /** When the URL ends, in seconds since 1970: nothing made for it lives longer. Null for a session. */
  expires: number | null
  /** A superuser sees what is not published yet, and so does who has a URL from one. */
  seesUnpublished: boolean
}

/**
 * Playlists and manifests, made anew for each who asks: every URL in them is signed and ends with the permit. All throw
 * `not_found`.
 */
export interface Playback {
  /** URLs and facts for a player. */
  describe(videoId: number, permit: Permit): Promise<PlaybackObject>
  /** HLS. */
  master(videoId: number, permit: Permit): Promise<string>
  /** DASH. */
  manifest(videoId: number, permit: Permit): Promise<string>
  /** HLS; `name` as `parsePlaylistName` reads it. */
  mediaPlaylist(videoId: number, sourceId: number, name: string, permit: Permit): Promise<string>
  /** WebVTT. */
  storyboard(videoId: number, sourceId: number, permit: Permit): Promise<string>
  /** Signed URL of the master playlist; null if there is nothing to play, or not in fragments. */
  masterUrl(videoId: number): Promise<string | null>
}

const VIEWER: Permit = { expires: null, seesUnpublished: false }

export function createPlayback(needs: {
  db: Database
  clock: Clock
  /** Of what this makes, below `/content/`. */
  playlists: SignedUrls
  media: SignedUrls
  ttlMs: number
}): Playback {
  const { db, clock, playlists, media, ttlMs } = needs

  async function getSource(videoId: number, permit: Permit): Promise<SourceRow> {
    const source = await findPlayingSource(db, videoId, permit.seesUnpublished)
    if (!source) throw notFound()
    return source
  }

  /** The source that a URL names must be the one that plays: that of another video, or a replaced one, does not. */
  async function getNamedSource(videoId: number, id: number, permit: Permit): Promise<SourceRow> {
    const source = await getSource(videoId, permit)
    if (source.id !== id) throw notFound()
    return source
  }

  /** What URLs are, for who asks. */
  function signing(source: SourceRow, permit: Permit) {
    const durationMs = source.media_info?.durationMs ?? 0
    const expires = permit.expires ?? expiryOf(ttlMs, durationMs, clock.now())
    const { id, video_id: videoId } = source
    return {
      objectUrl: (key: string) => media.urlUntil(key, expires),
      ofVideo: (file: string) => playlists.urlUntil(`${videoId}/${file}`, expires),
      ofSource: (file: string) => playlists.urlUntil(`${videoId}/${id}/${file}`, expires),
    }
  }

  async function getPresentation(source: SourceRow): Promise<Presentation> {
    const presentation = presentationOf({
      renditions: await listRenditions(db, source.id),
      audioTracks: await listAudioTracks(db, source.id),
      subtitles: await listSubtitles(db, source),
      fragments: await listFragments(db, source.id),
    })
    if (presentation.renditions.length === 0) throw notAvailable()
    return presentation
  }

  return {
    async describe(videoId, permit) {
      const source = await getSource(videoId, permit)
      if ((await listRenditions(db, source.id)).length === 0) throw notAvailable()
      const { objectUrl, ofVideo, ofSource } = signing(source, permit)
      const audio = await listAudioTracks(db, source.id)
      const subtitles = await listSubtitles(db, source)
      return {
        hls_url: ofVideo('master.m3u8'),
        dash_url: ofVideo('manifest.mpd'),
        duration_ms: source.media_info?.durationMs ?? 0,
        chapters: (source.media_info?.chapters ?? []).map(({ startMs, endMs, title }) => ({
          start_ms: startMs,
          end_ms: endMs,
          title,
        })),
        audio: audio.map(({ language, label, channels, position }) => ({
          language: languageTag(language),
          label,
          channels,
          is_default: position === 0,
        })),
        subtitles: subtitles.map(({ id, language, label, is_forced, object_key }) => ({
          id,
          language: languageTag(language),
          label,
          is_forced,
          url: objectUrl(object_key),
        })),
        storyboard_url: source.storyboard ? ofSource('storyboard.vtt') : null,
      }
    },

    async master(videoId, permit) {
      const source = await getSource(videoId, permit)
      const { ofSource } = signing(source, permit)
      return masterPlaylist(await getPresentation(source), (name) => ofSource(`${name}.m3u8`))
    },

    async manifest(videoId, permit) {
      const source = await getSource(videoId, permit)
      return dashManifest(await getPresentation(source), signing(source, permit).objectUrl)
    },

    async mediaPlaylist(videoId, sourceId, name, permit) {
      const source = await getNamedSource(videoId, sourceId, permit)
      const playlist = await findMediaPlaylist(db, source, name, signing(source, permit).objectUrl)
      if (playlist === null) throw notFound()
      return playlist
    },

    async storyboard(videoId, sourceId, permit) {
      const source = await getNamedSource(videoId, sourceId, permit)
      if (!source.storyboard) throw notFound()
      const durationMs = source.media_info?.durationMs ?? 0
      return storyboardVtt(source.storyboard, durationMs, signing(source, permit).objectUrl)
    },

    async masterUrl(videoId) {
      const source = await findPlayingSource(db, videoId, VIEWER.seesUnpublished)
      if (!source || (await listRenditions(db, source.id)).length === 0) return null
      return signing(source, VIEWER).ofVideo('master.m3u8')
    },
  }
}

function notFound(): AppError {
  return new AppError('not_found', 'Not found.')
}

function notAvailable(): AppError {
  return new AppError('not_found', 'Requested quality not available')
}
