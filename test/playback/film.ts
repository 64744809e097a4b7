import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { asJson } from '../../server/src/db/tables.ts'
import type { MediaInfo } from '../../server/src/media/media-info.ts'
import type { FragmentIndex } from '../../server/src/media/mp4/fragment-index.ts'
import type { Storyboard } from '../../server/src/media/storyboard.ts'
import type { TestApp } from '../harness/app.ts'
import { temporaryFolder } from '../harness/temporary-folder.ts'
import { aTitle } from '../videos/library.ts'

/** A film that is in the library as if it had been processed: rows, and files in the store. */
export interface WantedFilm {
  durationMs?: number
  /** Worst first. */
  renditions: WantedRendition[]
  audio?: WantedAudio[]
  subtitles?: WantedSubtitles[]
  /** With its sheets as files; one of some bytes if there is none. */
  storyboard?: Omit<Storyboard, 'sheets'> & { paths?: string[] }
  chapters?: { startMs: number; endMs: number; title: string }[]
  isPublished?: boolean
}

interface WantedRendition {
  quality: string
  width: number
  height: number
  /** Null is what older versions made. */
  fragments: FragmentIndex | null
  frameRate?: string
  /** The file; some bytes if there is none. */
  path?: string
}

/** The first is the main one, and has no file. */
interface WantedAudio {
  language: string | null
  label: string
  channels?: number
  fragments?: FragmentIndex
  path?: string
}

interface WantedSubtitles {
  language: string | null
  label: string
  isForced?: boolean
  isUploaded?: boolean
  text?: string
}

export interface InsertedFilm {
  videoId: number
  sourceId: number
  /** Folder of its objects. */
  prefix: string
  subtitleIds: number[]
}

let uploads = 0

export async function aFilm(app: TestApp, wanted: WantedFilm): Promise<InsertedFilm> {
  const { db, media } = app.app
  const { durationMs = 4505, isPublished = true } = wanted
  const now = app.clock.now()
  const { id: videoId } = await db
    .insertInto('videos')
    .values({
      title: aTitle(),
      description: '',
      category: 'Other',
      created_at: now,
      updated_at: now,
      published_source_id: null,
      source_id: null,
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  const mediaInfo = { durationMs, chapters: wanted.chapters } as Partial<MediaInfo>
  const { id: sourceId } = await db
    .insertInto('sources')
    .values({
      video_id: videoId,
      upload_id: `film-${(uploads += 1)}-${process.pid}`,
      object_key: `film-${uploads}-${process.pid}`,
      file_name: 'film.mp4',
      size_bytes: 1,
      sha256: null,
      state: isPublished ? 'ready' : 'processing',
      error_code: null,
      error_message: null,
      media_info: asJson(mediaInfo),
      created_at: now,
      updated_at: now,
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  const prefix = `videos/${videoId}/${sourceId}-1-1`
  await using folder = await temporaryFolder()
  const store = async (name: string, path: string | undefined, bytes = name): Promise<string> => {
    const file = path ?? join(folder.path, name)
    if (path === undefined) await writeFile(file, bytes)
    await media.putFile(`${prefix}/${name}`, file)
    return `${prefix}/${name}`
  }
  const index = async (key: string, fragments: FragmentIndex | null): Promise<void> => {
    if (!fragments) return
    await db
      .insertInto('fragment_indexes')
      .values({ object_key: key, source_id: sourceId, fragments: asJson(fragments) })
      .execute()
  }

  for (const { quality, width, height, fragments, frameRate, path } of wanted.renditions) {
    const key = await store(`${quality}.mp4`, path)
    await db
      .insertInto('renditions')
      .values({
        source_id: sourceId,
        quality,
        object_key: key,
        width,
        height,
        size_bytes: 1,
        bitrate_bps: 1000,
        peak_bps: fragments && 2000,
        frame_rate: fragments && (frameRate ?? '24000/1001'),
        codecs: [fragments?.video?.codec, fragments?.audio?.codec].filter(Boolean).join(','),
      })
      .execute()
    await index(key, fragments)
  }
  for (const [position, each] of (wanted.audio ?? []).entries()) {
    const key = position === 0 ? null : await store(`audio-${position}.mp4`, each.path)
    await db
      .insertInto('audio_tracks')
      .values({
        source_id: sourceId,
        position,
        object_key: key,
        language: each.language,
        label: each.label,
        codec: 'mp4a.40.2',
        channels: each.channels ?? 2,
        bitrate_bps: 100,
        peak_bps: 200,
        size_bytes: 1,
      })
      .execute()
    if (key) await index(key, each.fragments ?? null)
  }
  const subtitleIds: number[] = []
  for (const [position, each] of (wanted.subtitles ?? []).entries()) {
    const key = await store(`subtitles-${position}.vtt`, undefined, each.text ?? 'WEBVTT\n')
    const { id } = await db
      .insertInto('subtitles')
      .values({
        video_id: videoId,
        source_id: each.isUploaded ? null : sourceId,
        object_key: key,
        language: each.language,
        label: each.label,
        is_forced: each.isForced ?? false,
        created_at: now,
      })
      .returning('id')
      .executeTakeFirstOrThrow()
    subtitleIds.push(id)
  }
  if (wanted.storyboard) {
    const { paths = [undefined], ...layout } = wanted.storyboard
    const sheets = await Promise.all(
      paths.map((path, index) => store(`storyboard-00${index + 1}.jpg`, path)),
    )
    await db
      .updateTable('sources')
      .set({ storyboard: asJson({ ...layout, sheets } satisfies Storyboard) })
      .where('id', '=', sourceId)
      .execute()
  }
  await db
    .updateTable('videos')
    .set({ source_id: sourceId, published_source_id: isPublished ? sourceId : null })
    .where('id', '=', videoId)
    .execute()
  return { videoId, sourceId, prefix, subtitleIds }
}
