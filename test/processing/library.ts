import type { AdminVideo, ProcessingStep } from '@videoflix/contract'
import { bytes, make, remux } from '../films.ts'
import type { TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import { expect } from 'vitest'
import { filesIn, storedKeys } from '../harness/stored.ts'
import { adminVideo, allDone, until, upload } from '../videos/library.ts'

/** What the journeys of steps arrange and look at. */

/** Its picture may be copied, as 360p; 120p is encoded. Films of other seconds are other films. */
export function aCopyableFilm(seconds = 3): Promise<string> {
  return make({
    extension: 'mp4',
    args: [
      ...['-f', 'lavfi', '-i', `testsrc2=size=320x240:rate=25:duration=${seconds}`],
      ...['-f', 'lavfi', '-i', `sine=440:duration=${seconds}`],
      ...['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-g', '50'],
      ...['-c:a', 'aac', '-ac', '2', '-b:a', '64k'],
    ],
  })
}

export async function aCopyableFilmWithSubtitles(): Promise<string> {
  const lines = await bytes('srt', Buffer.from('1\n00:00:00,100 --> 00:00:02,000\nHello\n'))
  const options = ['-map', '0', '-map', '1', '-c:s', 'mov_text', '-metadata:s:s:0', 'language=eng']
  return await remux(await aCopyableFilm(), 'mp4', options, lines)
}

export async function stepsOf(superuser: Client, id: number): Promise<Map<string, ProcessingStep>> {
  const { source } = await adminVideo(superuser, id)
  return new Map(source?.steps.map((step) => [step.name, step]))
}

export async function untilStep(
  superuser: Client,
  id: number,
  name: string,
  state: ProcessingStep['state'],
): Promise<void> {
  const isSo = async (): Promise<boolean> =>
    (await stepsOf(superuser, id)).get(name)?.state === state
  await until(isSo, `${name} is ${state}`)
}

export function urlsOf(video: AdminVideo): string[] {
  return [...Object.values(video.converted_files), video.image_file].filter((url) => url !== null)
}

/** HTTP status of each URL. */
export async function statusesOf(urls: string[]): Promise<number[]> {
  return await Promise.all(
    urls.map(async (url) => {
      const reply = await fetch(url)
      await reply.arrayBuffer()
      return reply.status
    }),
  )
}

/** What there is of a video besides its row: files in the stores, and rows that name them. */
export async function leftOf(app: TestApp, id: number): Promise<string[]> {
  const { db } = app.app
  const tables = ['renditions', 'fragment_indexes', 'audio_tracks', 'subtitles'] as const
  const rows = await Promise.all(
    tables.map(async (table) => {
      const found = await db
        .selectFrom(table)
        .innerJoin('sources', 'sources.id', `${table}.source_id`)
        .select(`${table}.object_key`)
        .where('sources.video_id', '=', id)
        .execute()
      return found.map((row) => `${table}: ${row.object_key ?? 'none of its own'}`)
    }),
  )
  return [
    ...rows.flat(),
    ...(await storedKeys(app, 'media', `videos/${id}/`)),
    ...(await storedKeys(app, 'intermediates', `${id}/`)),
    ...(await filesIn(app.settings.tasks.workDir)),
  ]
}

/** Uploads a film and waits for its processing; it must succeed. */
export async function aReadyVideo(
  app: TestApp,
  superuser: Client,
  given: { path?: string } = {},
): Promise<AdminVideo> {
  const { id } = await upload(superuser, given)
  await allDone(app)
  const video = await adminVideo(superuser, id)
  expect(video).toMatchObject({ processing_state: 'ready', source: { error: null } })
  return video
}
