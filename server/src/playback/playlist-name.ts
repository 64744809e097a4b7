/** What a media playlist is of, and its name in a URL, without `.m3u8`. */
export type PlaylistName =
  | { kind: 'video' | 'iframes' | 'muxed'; quality: string }
  /** By position and by id. */
  | { kind: 'audio' | 'subtitles'; number: number }

const OF_TRACK = /^(audio|subtitles)-(\d{1,15})$/
const OF_RENDITION = /^(?:(video|iframes)-)?(\d{1,5}p)$/

/** `video-720p`, `iframes-720p`, `720p` (picture and sound), `audio-0`, `subtitles-3`; null for any other. */
export function parsePlaylistName(name: string): PlaylistName | null {
  const [, trackKind, number = ''] = OF_TRACK.exec(name) ?? []
  if (trackKind) return { kind: trackKind as 'audio' | 'subtitles', number: Number(number) }
  const [, renditionKind = 'muxed', quality] = OF_RENDITION.exec(name) ?? []
  return quality === undefined
    ? null
    : { kind: renditionKind as 'video' | 'iframes' | 'muxed', quality }
}
