import { QUALITIES, type AdminVideo, type Source, type Video } from '@videoflix/contract'
import type { StepView } from '../processing/step-views.ts'
import type { MediaUrls } from '../storage/media-urls.ts'
import { toProgress, toStep } from './step-object.ts'
import type { ShownVideo } from './shown-videos.ts'
import type { KnownSource, VideoRecord } from './video-rows.ts'

/** From rows to what clients get. Pure; URLs are signed for `now`. */

export function toVideo(shown: ShownVideo, urls: MediaUrls, now: Date): Video {
  const { video, published, newest, renditions } = shown
  const isReady = published !== null
  return {
    id: video.id,
    title: video.title,
    description: video.description,
    category: video.category,
    created_at: instant(video.created_at),
    ...toPlayable(published, renditions, urls, now),
    processing_state: isReady ? 'ready' : (newest?.state ?? 'pending'),
    processing_error: isReady ? null : (newest?.error_message ?? null),
  }
}

type Playable = Pick<
  Video,
  'image_file' | 'image_url' | 'thumb_hash' | 'video_file' | 'converted_files'
>

function toPlayable(
  source: ShownVideo['published'],
  renditions: ShownVideo['renditions'],
  urls: MediaUrls,
  now: Date,
): Playable {
  const durationMs = source?.media_info?.durationMs ?? 0
  const poster = source?.poster_key ? urls.urlOf(source.poster_key, durationMs, now) : null
  // Worst quality first.
  const ordered = renditions.toSorted((one, other) => rank(one.quality) - rank(other.quality))
  const converted = ordered.map(
    ({ quality, object_key: key }) => [quality, urls.urlOf(key, durationMs, now)] as const,
  )
  return {
    image_file: poster,
    image_url: poster,
    thumb_hash: source?.thumb_hash ?? null,
    video_file: converted.at(-1)?.[1] ?? null,
    converted_files: Object.fromEntries(converted),
  }
}

function rank(quality: string): number {
  return Number.parseInt(quality, 10)
}

export function toAdminVideo(
  record: VideoRecord,
  steps: StepView[],
  urls: MediaUrls,
  now: Date,
): AdminVideo {
  const { video, published, newest } = record
  // Superusers see and play what there is before viewers do.
  const shown = published ?? newest
  const renditions = published ? record.renditions : record.earlyRenditions
  const { converted_files, ...plays } = toPlayable(shown, renditions, urls, now)
  return {
    ...toVideo(record, urls, now),
    ...plays,
    converted_files,
    updated_at: instant(video.updated_at),
    duration_ms: shown?.media_info?.durationMs ?? null,
    width: shown?.media_info?.video.displayWidth ?? null,
    height: shown?.media_info?.video.displayHeight ?? null,
    renditions: renditions.map((rendition) => ({
      quality: rendition.quality,
      width: rendition.width,
      height: rendition.height,
      size_bytes: rendition.size_bytes,
      bitrate_bps: rendition.bitrate_bps,
      codecs: rendition.codecs,
    })),
    source: newest && toSource(newest, steps, now),
    is_replacing: published !== null && newest !== null && published.id !== newest.id,
  }
}

function toSource(source: KnownSource, steps: StepView[], now: Date): Source {
  return {
    file_name: source.file_name,
    size_bytes: source.size_bytes,
    sha256: source.sha256,
    uploaded_at: instant(source.created_at),
    state: source.state,
    error:
      source.state === 'error'
        ? { code: source.error_code ?? 'internal', message: source.error_message ?? '' }
        : null,
    progress: source.state === 'processing' ? toProgress(steps, now) : null,
    steps: steps.map(toStep),
    is_kept: source.original_dropped_at === null,
  }
}

/** Django writes microseconds; ours end in zeros. */
function instant(date: Date): string {
  return date.toISOString().replace('Z', '000Z')
}

/** The rendition for what a client asks: that quality, or the best there is below it or at all. */
export function chooseQuality(available: string[], asked: string | undefined): string | null {
  const ordered = available.toSorted((one, other) => rank(one) - rank(other))
  if (asked === undefined) return ordered.at(-1) ?? null
  if (!(QUALITIES as readonly string[]).includes(asked) && !available.includes(asked)) return null
  const notAbove = ordered.filter((quality) => rank(quality) <= rank(asked))
  return notAbove.at(-1) ?? ordered[0] ?? null
}
