import type { Database } from '../db/database.ts'
import type { SourceRow } from '../db/tables.ts'
import {
  iframePlaylist,
  muxedPlaylist,
  subtitlesPlaylist,
  trackPlaylist,
} from '../media/playlists/hls-media.ts'
import { findFragments, listAudioTracks, listRenditions, listSubtitles } from './playback-rows.ts'
import { parsePlaylistName, type PlaylistName } from './playlist-name.ts'
import { audioKeyOf } from './presentation-of-rows.ts'

/** One media playlist of a source, or null if there is nothing of that name. Reads one index, not all. */
export async function findMediaPlaylist(
  db: Database,
  source: SourceRow,
  name: string,
  urlOf: (objectKey: string) => string,
): Promise<string | null> {
  const parsed = parsePlaylistName(name)
  if (parsed === null) return null
  if (parsed.kind === 'subtitles') {
    const subtitles = (await listSubtitles(db, source)).find(({ id }) => id === parsed.number)
    const seconds = (source.media_info?.durationMs ?? 0) / 1000
    return subtitles ? subtitlesPlaylist(seconds, urlOf(subtitles.object_key)) : null
  }
  const key = await findKey(db, source.id, parsed)
  const fragments = key === null ? null : await findFragments(db, key)
  if (key === null || fragments === null) return null
  const { video, audio } = fragments
  if (parsed.kind === 'audio') return audio && trackPlaylist(audio, urlOf(key))
  if (parsed.kind === 'muxed') return muxedPlaylist(fragments, urlOf(key))
  if (parsed.kind === 'video') return video && trackPlaylist(video, urlOf(key))
  return video && iframePlaylist(video, urlOf(key))
}

/** Of the file that has the track. */
async function findKey(
  db: Database,
  sourceId: number,
  name: Exclude<PlaylistName, { kind: 'subtitles' }>,
): Promise<string | null> {
  const renditions = await listRenditions(db, sourceId)
  if ('quality' in name) {
    return renditions.find(({ quality }) => quality === name.quality)?.object_key ?? null
  }
  const tracks = await listAudioTracks(db, sourceId)
  const track = tracks.find(({ position }) => position === name.number)
  return track ? audioKeyOf(track, renditions) : null
}
