import type { AudioTrackRow, RenditionRow, SubtitleRow } from '../db/tables.ts'
import type { FragmentIndex } from '../media/mp4/fragment-index.ts'
import type { Presentation } from '../media/playlists/presentation.ts'

/** From rows to what playlists are made from; pure. What has no index, or no such track in it, is left out. */
export function presentationOf(rows: {
  renditions: RenditionRow[]
  audioTracks: AudioTrackRow[]
  subtitles: SubtitleRow[]
  fragments: Map<string, FragmentIndex>
}): Presentation {
  const { renditions, audioTracks, subtitles, fragments } = rows
  return {
    renditions: renditions.flatMap((row) => {
      const video = fragments.get(row.object_key)?.video
      if (!video) return []
      const { quality, object_key: objectKey, width, height, frame_rate } = row
      return { quality, objectKey, width, height, frameRate: frame_rate ?? '', video }
    }),
    audio: audioTracks.flatMap((row) => {
      const objectKey = audioKeyOf(row, renditions)
      const audio = fragments.get(objectKey ?? '')?.audio
      if (!audio || objectKey === null) return []
      const { position, language, label, channels } = row
      return { position, objectKey, language, label, channels, audio }
    }),
    subtitles: subtitles.map((row) => ({
      id: row.id,
      objectKey: row.object_key,
      language: row.language,
      label: row.label,
      isForced: row.is_forced,
    })),
  }
}

/**
 * The file that has this sound. The main one is the same in every rendition; it is taken from the worst, which is always
 * there, and where reading ahead around it, by a disk or a cache, drags along the least picture.
 */
export function audioKeyOf(
  track: Pick<AudioTrackRow, 'object_key'>,
  renditions: RenditionRow[],
): string | null {
  return track.object_key ?? renditions[0]?.object_key ?? null
}
