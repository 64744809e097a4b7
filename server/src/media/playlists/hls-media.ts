import type { ByteSpan, FragmentIndex, TrackFragments } from '../mp4/fragment-index.ts'
import { quoted } from './hls-attributes.ts'
import {
  keyframesOf,
  muxedSegmentsOf,
  segmentsOf,
  targetSeconds,
  type Segment,
} from './segments.ts'

/**
 * Media playlists (RFC 8216 §4.3.3) over byte ranges of one file, whose URL is `url`. Several tracks of a file have
 * playlists of their own, so that a player chooses picture and sound apart.
 */

/** RFC 8216 §7 asks for 6 where EXT-X-MAP stands without I-frames; Apple's own tools write 7 for fragmented MP4. */
export const HLS_VERSION = 7

/** One track alone. */
export function trackPlaylist(track: TrackFragments, url: string): string {
  return mediaPlaylist(segmentsOf(track), track.init, url)
}

/** Picture and sound together, for players that want one stream. */
export function muxedPlaylist(
  { video, audio, initBoth }: FragmentIndex,
  url: string,
): string | null {
  if (video && audio && initBoth) return mediaPlaylist(muxedSegmentsOf(video, audio), initBoth, url)
  return video && trackPlaylist(video, url)
}

/** For pictures while winding: only the keyframes are fetched (RFC 8216 §4.3.3.6). */
export function iframePlaylist(video: TrackFragments, url: string): string {
  return mediaPlaylist(keyframesOf(video), video.init, url, ['#EXT-X-I-FRAMES-ONLY'])
}

function mediaPlaylist(
  segments: Segment[],
  init: ByteSpan,
  url: string,
  tags: string[] = [],
): string {
  return lines([
    ...head(targetSeconds(segments), tags),
    `#EXT-X-MAP:URI=${quoted(url)},BYTERANGE="${init[1]}@${init[0]}"`,
    ...segments.flatMap(({ seconds, offset, length }) => [
      `#EXTINF:${seconds.toFixed(6)},`,
      `#EXT-X-BYTERANGE:${length}@${offset}`,
      url,
    ]),
  ])
}

/** A whole WebVTT file is one segment, as long as the film (RFC 8216 §3.5); its times are those of the film. */
export function subtitlesPlaylist(seconds: number, url: string): string {
  return lines([
    ...head(Math.max(1, Math.ceil(seconds)), []),
    `#EXTINF:${seconds.toFixed(6)},`,
    url,
  ])
}

function head(targetDuration: number, tags: string[]): string[] {
  return [
    '#EXTM3U',
    `#EXT-X-VERSION:${HLS_VERSION}`,
    `#EXT-X-TARGETDURATION:${targetDuration}`,
    '#EXT-X-PLAYLIST-TYPE:VOD',
    '#EXT-X-INDEPENDENT-SEGMENTS',
    ...tags,
  ]
}

function lines(list: string[]): string {
  return [...list, '#EXT-X-ENDLIST', ''].join('\n')
}
