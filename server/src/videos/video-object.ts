import { QUALITIES, type AdminVideo, type Source, type Video } from '@videoflix/contract'
import type { SourceRow, TaskRow } from '../db/tables.ts'
import type { MediaUrls } from '../storage/media-urls.ts'
import { progress } from '../tasks/task.ts'
import type { VideoRecord } from './video-rows.ts'

/** From rows to what clients get. Pure; URLs are signed for `now`. */

export function toVideo(record: VideoRecord, urls: MediaUrls, now: Date): Video {
  const { video, published, newest } = record
  const durationMs = published?.media_info?.durationMs ?? 0
  const converted = convertedFiles(record, urls, now)
  const poster = published?.poster_key ? urls.urlOf(published.poster_key, durationMs, now) : null
  const isReady = published !== null
  return {
    id: video.id,
    title: video.title,
    description: video.description,
    category: video.category,
    created_at: instant(video.created_at),
    image_file: poster,
    image_url: poster,
    video_file: Object.values(converted).at(-1) ?? null,
    converted_files: converted,
    processing_state: isReady ? 'ready' : (newest?.state ?? 'pending'),
    processing_error: isReady ? null : (newest?.error_message ?? null),
  }
}

/** Worst quality first. */
function convertedFiles(
  { published, renditions }: VideoRecord,
  urls: MediaUrls,
  now: Date,
): Record<string, string> {
  const durationMs = published?.media_info?.durationMs ?? 0
  const ordered = renditions.toSorted((one, other) => rank(one.quality) - rank(other.quality))
  return Object.fromEntries(
    ordered.map(({ quality, object_key }) => [quality, urls.urlOf(object_key, durationMs, now)]),
  )
}

function rank(quality: string): number {
  return Number.parseInt(quality, 10)
}

export function toAdminVideo(
  record: VideoRecord,
  task: TaskRow | undefined,
  urls: MediaUrls,
  now: Date,
): AdminVideo {
  const { video, published, newest, renditions } = record
  const info = (published ?? newest)?.media_info
  return {
    ...toVideo(record, urls, now),
    updated_at: instant(video.updated_at),
    duration_ms: info?.durationMs ?? null,
    width: info?.video.displayWidth ?? null,
    height: info?.video.displayHeight ?? null,
    renditions: renditions.map((rendition) => ({
      quality: rendition.quality,
      width: rendition.width,
      height: rendition.height,
      size_bytes: rendition.size_bytes,
      bitrate_bps: rendition.bitrate_bps,
      codecs: rendition.codecs,
    })),
    source: newest && toSource(newest, task),
    is_replacing: published !== null && newest !== null && published.id !== newest.id,
  }
}

function toSource(source: SourceRow, task: TaskRow | undefined): Source {
  const parsed = progress.safeParse(task?.progress)
  const isProcessing = source.state === 'processing'
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
    progress: isProcessing
      ? {
          step: parsed.data?.step ?? 'queued',
          percent: parsed.data?.percent ?? 0,
          speed: parsed.data?.speed ?? null,
          eta_seconds: parsed.data?.etaSeconds ?? null,
          attempt: Math.max(1, task?.attempts ?? 1),
        }
      : null,
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
  if (!(QUALITIES as readonly string[]).includes(asked)) return null
  const notAbove = ordered.filter((quality) => rank(quality) <= rank(asked))
  return notAbove.at(-1) ?? ordered[0] ?? null
}
