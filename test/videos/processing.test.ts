import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AdminVideo, Video } from '@videoflix/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { badFilm, film, type BadFilm } from '../films.ts'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import { storedKeys } from '../harness/stored.ts'
import { temporaryFolder } from '../harness/temporary-folder.ts'
import {
  adminVideo,
  allDone,
  aReadyVideo,
  filesIn,
  replaceSource,
  SHORT,
  until,
  upload,
} from './library.ts'

describe.each(BACKENDS)('processing, on %s', (backend) => {
  let app: TestApp
  let superuser: Client
  let viewer: Client
  beforeAll(async () => {
    app = await startApp({ backend, env: { JOB_LEASE: '1', JOB_SWEEP_INTERVAL: '0.2' } })
    superuser = await app.superuser()
    viewer = await app.viewer()
  })
  afterAll(() => app.stop())

  const asViewer = async (id: number): Promise<Video> =>
    (await (await viewer.get(`/content/${id}/`)).json()) as Video

  const mediaOf = async (id: number): Promise<string[]> =>
    await storedKeys(app, 'media', `videos/${id}/`)

  test('a film goes from pending to ready, and all that is listed can be fetched', async () => {
    const { id } = await upload(superuser, { film: 'long enough for keyframes' })
    const states = new Set<string>()
    const percents: number[] = []
    const video = await until(async () => {
      const now = await adminVideo(superuser, id)
      states.add(now.processing_state)
      if (now.source?.progress) percents.push(now.source.progress.percent)
      return now.processing_state === 'ready' && now
    }, 'the video is ready')
    expect(states).toContain('processing')
    expect(percents).toEqual(percents.toSorted((one, other) => one - other))
    expect(Object.keys(video.converted_files)).toEqual(['120p', '360p', '720p'])
    expect(video.renditions.map(({ quality }) => quality)).toEqual(['120p', '360p', '720p'])
    expect(video).toMatchObject({
      width: 480,
      height: 400,
      duration_ms: expect.closeTo(10_000, -3),
    })
    for (const url of [...Object.values(video.converted_files), video.image_file ?? '']) {
      expect((await fetch(url)).status).toBe(200)
    }
    expect((await mediaOf(id)).length).toBe(5)
    expect(await filesIn(app.settings.tasks.workDir)).toEqual([])
  })

  describe('a file that is no film ends in a sentence', () => {
    test.each<BadFilm>([
      'text',
      'truncated faststart',
      'truncated without index',
      'audio only',
      'picture',
      'scrambled pictures',
      'playlist named mp4',
    ])('%s', async (bad) => {
      const { id } = await upload(superuser, { bad })
      await allDone(app)
      const video = await adminVideo(superuser, id)
      expect(video.processing_state).toBe('error')
      expect(video.source).toMatchObject({
        state: 'error',
        progress: null,
        error: { code: expect.stringMatching(/^[a-z_]+$/), message: expect.any(String) },
      })
      const sentence = video.source?.error?.message ?? ''
      expect(sentence).toMatch(/^[A-Z].{20,}\.$/)
      expect(sentence).not.toMatch(/ffmpeg|ffprobe|\/|Error|moov/)
      expect(await asViewer(id)).toMatchObject({
        processing_state: 'error',
        processing_error: sentence,
        image_file: null,
        video_file: null,
        converted_files: {},
      })
      expect(await mediaOf(id)).toEqual([])
      expect(await filesIn(app.settings.tasks.workDir)).toEqual([])
    })
  })

  test('a failed film can be tried again, one that is being processed cannot', async () => {
    const { id } = await upload(superuser, { bad: 'text' })
    await allDone(app)
    expect((await adminVideo(superuser, id)).processing_state).toBe('error')
    const retry = () => superuser.post(`/admin/api/videos/${id}/retry/`)
    const replies = await Promise.all([retry(), retry(), retry()])
    expect(replies.map((reply) => String(reply.status)).sort()).toContain('200')
    for (const reply of replies.filter(({ status }) => status !== 200)) {
      expect(reply.status).toBe(409)
      expect(await reply.json()).toEqual({ detail: expect.any(String) })
    }
    await allDone(app)
    expect((await adminVideo(superuser, id)).processing_state).toBe('error')
    expect((await superuser.post('/admin/api/videos/99999999/retry/')).status).toBe(404)
  })

  test('a ready film can be processed again, and plays meanwhile and after', async () => {
    const before = await aReadyVideo(app, superuser)
    expect((await superuser.post(`/admin/api/videos/${before.id}/retry/`)).status).toBe(200)
    expect((await asViewer(before.id)).processing_state).toBe('ready')
    expect((await fetch(before.video_file ?? '')).status).toBe(200)
    await allDone(app)
    const after = await adminVideo(superuser, before.id)
    expect(after.processing_state).toBe('ready')
    expect((await fetch(after.video_file ?? '')).status).toBe(200)
    expect((await fetch(before.video_file ?? '')).status).toBe(404)
    expect((await mediaOf(before.id)).length).toBe(after.renditions.length + 2)
  })

  test('while a film is replaced the old one plays, then its files go', async () => {
    const before = await aReadyVideo(app, superuser)
    const keys = await mediaOf(before.id)
    const replacing = await replaceSource(superuser, before.id, await film('vp9 webm'))
    expect(replacing).toMatchObject({ processing_state: 'ready', is_replacing: true })
    expect((await fetch(before.video_file ?? '')).status).toBe(200)
    await allDone(app)
    const after = await adminVideo(superuser, before.id)
    expect(after).toMatchObject({ processing_state: 'ready', is_replacing: false })
    expect(after.duration_ms).toBeGreaterThan(1500)
    expect((await fetch(after.video_file ?? '')).status).toBe(200)
    expect((await fetch(before.video_file ?? '')).status).toBe(404)
    for (const key of await mediaOf(before.id)) expect(keys).not.toContain(key)
    expect(await originalsOf(before.id)).toBe(1)
  })

  test('a replacement that fails leaves the old one playing', async () => {
    const before = await aReadyVideo(app, superuser)
    await replaceSource(superuser, before.id, await badFilm('text'))
    await allDone(app)
    const video = await adminVideo(superuser, before.id)
    expect(video).toMatchObject({
      processing_state: 'ready',
      processing_error: null,
      is_replacing: true,
      source: { state: 'error', error: { message: expect.any(String) } },
    })
    expect(await asViewer(before.id)).toMatchObject({
      processing_state: 'ready',
      processing_error: null,
    })
    expect((await fetch(video.video_file ?? '')).status).toBe(200)
    await replaceSource(superuser, before.id, await film(SHORT))
    await allDone(app)
    expect(await adminVideo(superuser, before.id)).toMatchObject({ is_replacing: false })
    expect(await originalsOf(before.id)).toBe(1)
  })

  test('deleting a video removes all of it', async () => {
    const others = await storedKeys(app, 'originals')
    const { id } = await aReadyVideo(app, superuser)
    await viewer.post('/content/add-favorite/', { video_id: id })
    expect((await superuser.delete(`/admin/api/videos/${id}/`)).status).toBe(204)
    expect((await superuser.delete(`/admin/api/videos/${id}/`)).status).toBe(404)
    expect((await viewer.get(`/content/${id}/`)).status).toBe(404)
    await allDone(app)
    expect(await mediaOf(id)).toEqual([])
    expect(await storedKeys(app, 'originals')).toEqual(others)
    expect(await rowsAbout(id)).toEqual({ sources: 0, favorites: 0, tasks: 0 })
  })

  test('a video can be deleted while it is processed', async () => {
    const { id } = await upload(superuser, { film: 'long enough for keyframes' })
    await until(
      async () => (await adminVideo(superuser, id)).processing_state === 'processing',
      'it is being processed',
    )
    expect((await superuser.delete(`/admin/api/videos/${id}/`)).status).toBe(204)
    await until(
      async () => (await filesIn(app.settings.tasks.workDir)).length === 0,
      'the work folder is empty',
    )
    await allDone(app)
    expect(await mediaOf(id)).toEqual([])
    expect(await rowsAbout(id)).toEqual({ sources: 0, favorites: 0, tasks: 0 })
    await aReadyVideo(app, superuser)
  })

  test('changes and progress are streamed to superusers', async () => {
    const { id: doomed } = await aReadyVideo(app, superuser)
    await using stream = await openEvents(superuser)
    await stream.next('hello')
    const { id } = await upload(superuser, { film: 'slow to encode' })
    const isAbout = (video: AdminVideo) => video.id === id
    await stream.next('video', (video) => isAbout(video) && video.source?.progress !== null)
    const ready = await stream.next(
      'video',
      (video) => isAbout(video) && video.processing_state === 'ready',
    )
    expect(ready).toMatchObject({ id, is_replacing: false, video_file: expect.any(String) })
    await superuser.patch(`/admin/api/videos/${id}/`, { description: 'Edited' })
    await stream.next('video', (video) => isAbout(video) && video.description === 'Edited')
    await superuser.delete(`/admin/api/videos/${doomed}/`)
    expect(await stream.next('deleted')).toEqual({ id: doomed })
    expect((await viewer.get('/admin/api/events/')).status).toBe(403)
    expect((await app.client().get('/admin/api/events/')).status).toBe(401)
  })

  async function originalsOf(id: number): Promise<number> {
    const rows = await app.app.db
      .selectFrom('sources')
      .select('object_key')
      .where('video_id', '=', id)
      .execute()
    const kept = await storedKeys(app, 'originals')
    return rows.filter((row) => kept.includes(row.object_key)).length
  }

  async function rowsAbout(id: number): Promise<Record<string, number>> {
    const { db } = app.app
    const [sources, favorites, tasks] = await Promise.all([
      db.selectFrom('sources').select('id').where('video_id', '=', id).execute(),
      db.selectFrom('favorites').select('user_id').where('video_id', '=', id).execute(),
      db.selectFrom('tasks').select('id').where('subject', '=', `video:${id}`).execute(),
    ])
    return { sources: sources.length, favorites: favorites.length, tasks: tasks.length }
  }
})

describe('a media tool that fails', () => {
  const stubborn = { JOB_ATTEMPTS: '2', JOB_SWEEP_INTERVAL: '0.1' }

  test.each([
    ['is missing', 'tool_missing', null, {}],
    ['is killed', 'encoder_crashed', 'kill -SEGV $$', {}],
    ['hangs', 'timed_out', 'sleep 600', { JOB_TIMEOUT: '1' }],
  ])('that %s is tried JOB_ATTEMPTS times', async (_how, code, script, env) => {
    await using folder = await temporaryFolder()
    const bin = join(folder.path, 'ffmpeg')
    await using app = await startApp({
      env: { ...stubborn, ...env, FFMPEG_BIN: bin, FFPROBE_BIN: 'ffprobe' },
    })
    if (script !== null) {
      await writeFile(bin, `#!/bin/sh\n${script}\n`)
      await chmod(bin, 0o755)
    }
    const superuser = await app.superuser()
    const { id } = await upload(superuser)
    const first = await until(async () => {
      const [task] = await app.app.db
        .selectFrom('tasks')
        .selectAll()
        .where('failures', '=', 1)
        .execute()
      return task
    }, 'the first attempt has failed')
    expect(first.finished_at).toBeNull()
    expect((await adminVideo(superuser, id)).processing_state).toBe('processing')
    app.clock.advance(60_000)
    const video = await until(async () => {
      const now = await adminVideo(await app.superuser(), id)
      return now.processing_state === 'error' && now
    }, 'it is given up')
    expect(video.source?.error).toEqual({ code, message: expect.stringMatching(/^[A-Z].*\.$/) })
    expect(video.source?.steps.at(-1)).toMatchObject({
      ...{ state: 'failed', attempts: 2, error: { code } },
    })
    await allDone(app)
    expect(await filesIn(app.settings.tasks.workDir)).toEqual([])
    expect(await storedKeys(app, 'media')).toEqual([])
  })

  test('that calls the file undecodable is believed at once', async () => {
    await using folder = await temporaryFolder()
    const bin = join(folder.path, 'ffmpeg')
    await writeFile(bin, '#!/bin/sh\nexit 1\n')
    await chmod(bin, 0o755)
    await using app = await startApp({ env: { FFMPEG_BIN: bin, FFPROBE_BIN: 'ffprobe' } })
    const superuser = await app.superuser()
    const { id } = await upload(superuser)
    await allDone(app)
    expect((await adminVideo(superuser, id)).source?.error?.code).toBe('undecodable')
  })

  test('a ready film that cannot be processed again keeps its files', async () => {
    await using folder = await temporaryFolder()
    const bin = join(folder.path, 'ffmpeg')
    await writeFile(bin, '#!/bin/sh\nexec ffmpeg "$@"\n')
    await chmod(bin, 0o755)
    await using app = await startApp({ env: { FFMPEG_BIN: bin, FFPROBE_BIN: 'ffprobe' } })
    const superuser = await app.superuser()
    const { id } = await aReadyVideo(app, superuser)
    await writeFile(bin, '#!/bin/sh\nexit 1\n')
    await superuser.post(`/admin/api/videos/${id}/retry/`)
    await allDone(app)
    const video = await adminVideo(superuser, id)
    expect(video.source?.state).toBe('error')
    expect(video.processing_state).toBe('ready')
    for (const url of [...Object.values(video.converted_files), video.image_file ?? '']) {
      expect((await fetch(url)).status).toBe(200)
    }
  })
})

interface Events extends AsyncDisposable {
  /** The data of the next event of this name that fits; others are passed over. */
  next(event: string, fits?: (video: AdminVideo) => boolean): Promise<unknown>
}

async function openEvents(client: Client): Promise<Events> {
  const abort = new AbortController()
  const reply = await client.get('/admin/api/events/', {
    signal: abort.signal,
    headers: { accept: 'text/event-stream' },
  })
  expect(reply.headers.get('content-type')).toContain('text/event-stream')
  const reader = (reply.body as ReadableStream<Uint8Array>)
    .pipeThrough(new TextDecoderStream())
    .getReader()
  let text = ''
  return {
    async next(event, fits = () => true) {
      for (;;) {
        const end = text.indexOf('\n\n')
        if (end < 0) {
          const { value, done } = await reader.read()
          if (done) throw new Error(`the stream ended before an event ${event}`)
          text += value
          continue
        }
        const lines = text.slice(0, end).split('\n')
        text = text.slice(end + 2)
        const field = (name: string): string =>
          lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? ''
        if (field('event') !== event) continue
        const data: unknown = JSON.parse(field('data'))
        if (event !== 'video' || fits(data as AdminVideo)) return data
      }
    },
    async [Symbol.asyncDispose]() {
      abort.abort()
      await reader.cancel().catch(() => {})
    },
  }
}
