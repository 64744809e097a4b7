import type { AdminVideo, Video, WebhookBody } from '@videoflix/contract'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import { adminVideo, allDone, replaceSource, until, upload } from '../videos/library.ts'
import { startReceiver, type Receiver } from '../webhooks/receiver.ts'
import {
  aCopyableFilm,
  aReadyVideo,
  leftOf,
  statusesOf,
  stepsOf,
  untilStep,
  urlsOf,
} from './library.ts'
import { stepTools, type StepTools } from './step-tools.ts'

const SECRET = `whsec_${Buffer.from('a secret of some thirty bytes 123').toString('base64')}`

const CATALOGUES = [
  ['waits for all of a film', 'False', BACKENDS.slice(0, 1)],
  ['shows early what there is', 'True', BACKENDS],
] as const

describe.each(
  CATALOGUES.flatMap(([what, early, backends]) =>
    backends.map((backend) => ({ what, early, backend })),
  ),
)('a catalogue that $what, on $backend', ({ early, backend }) => {
  let tools: StepTools
  let receiver: Receiver
  let app: TestApp
  let superuser: Client
  let viewer: Client
  beforeAll(async () => {
    tools = await stepTools()
    receiver = await startReceiver()
    const hooks = { WEBHOOK_URLS: receiver.origin, WEBHOOK_SECRET: SECRET }
    const env = { ...tools.env, ...hooks, EARLY_READY: early, JOB_ATTEMPTS: '1' }
    app = await startApp({ backend, env })
    superuser = await app.superuser()
    viewer = await app.viewer()
  })
  afterAll(async () => {
    await app.stop()
    await receiver.stop()
    await tools[Symbol.asyncDispose]()
  })

  beforeEach(() => async () => {
    await tools.mend('encode')
    await tools.letGo('encode')
  })

  const asViewer = async (id: number): Promise<Video> =>
    (await (await viewer.get(`/content/${id}/`)).json()) as Video
  const eventsAbout = (id: number): string[] =>
    receiver.received
      .map(({ body }) => JSON.parse(body) as WebhookBody)
      .filter(({ data }) => data.video?.id === id)
      .map(({ type }) => type)

  /** With its encoder held, until its copied picture plays. */
  async function anEarlyVideo(): Promise<AdminVideo> {
    await tools.hold('encode')
    const { id } = await upload(superuser, { path: await aCopyableFilm() })
    return await until(async () => {
      const video = await adminVideo(superuser, id)
      return '360p' in video.converted_files && video
    }, 'the copied picture plays')
  }

  test('superusers play the copied picture at once, viewers if that is wanted', async () => {
    const video = await anEarlyVideo()
    const { id } = video
    expect(video.source?.state).toBe('processing')
    expect(Object.keys(video.converted_files)).toEqual(['360p'])
    expect(video).toMatchObject({ is_replacing: false, source: { state: 'processing' } })
    expect(await statusesOf(urlsOf(video))).toEqual([200])
    const isShown = early === 'True'
    const seen = await asViewer(id)
    expect(seen.processing_state).toBe(isShown ? 'ready' : 'processing')
    expect(Object.keys(seen.converted_files)).toEqual(isShown ? ['360p'] : [])
    const playback = await viewer.get(`/content/${id}/playback/`)
    expect(playback.status).toBe(isShown ? 200 : 404)
    const url = await viewer.get(`/content/video-url/${id}/`)
    expect(url.status).toBe(isShown ? 200 : 404)
    expect(eventsAbout(id)).toEqual([])

    await tools.letGo('encode')
    await allDone(app)
    const whole = await asViewer(id)
    expect(whole).toMatchObject({ processing_state: 'ready', image_file: expect.any(String) })
    expect(Object.keys(whole.converted_files)).toEqual(['120p', '360p'])
    // What played already goes on playing from the same file.
    expect(pathOf(whole.converted_files['360p'])).toBe(pathOf(video.converted_files['360p']))
    expect(eventsAbout(id)).toEqual(['video.ready'])
  })

  test('a replacement is not seen until all of it is there', async () => {
    const before = await aReadyVideo(app, superuser, { path: await aCopyableFilm() })
    const { id } = before
    const seen = await asViewer(id)
    await tools.hold('encode')
    await replaceSource(superuser, id, await aCopyableFilm(4))
    await untilStep(superuser, id, 'package 360p', 'done')
    const shown = ({ converted_files, image_file }: Video): unknown[] => [
      ...[Object.keys(converted_files), Object.values(converted_files).map(pathOf)],
      pathOf(image_file),
    ]
    expect(shown(await asViewer(id))).toEqual(shown(seen))
    expect(await adminVideo(superuser, id)).toMatchObject({
      ...{ is_replacing: true, duration_ms: before.duration_ms },
      source: { state: 'processing' },
    })
    const playback = (await (await viewer.get(`/content/${id}/playback/`)).json()) as object
    expect(playback).toMatchObject({ duration_ms: before.duration_ms })
    await tools.letGo('encode')
    await allDone(app)
    const after = await adminVideo(superuser, id)
    expect(after).toMatchObject({ is_replacing: false, processing_state: 'ready' })
    expect(after.duration_ms).toBeGreaterThan(3900)
    expect(await statusesOf(urlsOf(before))).toEqual([404, 404, 404])
  })

  test('a replacement that fails half-made leaves the old one, and nothing of itself', async () => {
    const before = await aReadyVideo(app, superuser, { path: await aCopyableFilm() })
    const { id } = before
    const left = await leftOf(app, id)
    await tools.hold('encode')
    await replaceSource(superuser, id, await aCopyableFilm(4))
    await untilStep(superuser, id, 'package 360p', 'done')
    await tools.crash('encode')
    await tools.letGo('encode')
    await allDone(app)
    const { source } = await adminVideo(superuser, id)
    expect(source).toMatchObject({ state: 'error', error: { code: 'encoder_crashed' } })
    expect((await asViewer(id)).processing_state).toBe('ready')
    expect(await statusesOf(urlsOf(before))).toEqual([200, 200, 200])
    expect(await leftOf(app, id)).toEqual(left)
  })

  test('what fails after it could be played is withdrawn as a whole', async () => {
    const { id } = await anEarlyVideo()
    const urls = urlsOf(await adminVideo(superuser, id))
    await tools.crash('encode')
    await tools.letGo('encode')
    await allDone(app)
    const video = await adminVideo(superuser, id)
    expect(video).toMatchObject({
      processing_state: 'error',
      converted_files: {},
      renditions: [],
      ...{ video_file: null, image_file: null, thumb_hash: null, is_replacing: false },
      source: { state: 'error', error: { code: 'encoder_crashed' }, is_kept: true },
    })
    expect(await asViewer(id)).toMatchObject({
      processing_state: 'error',
      processing_error: video.source?.error?.message,
      converted_files: {},
    })
    expect(await statusesOf(urls)).toEqual([404])
    expect(await leftOf(app, id)).toEqual([])
    expect((await superuser.get(`/content/${id}/playback/`)).status).toBe(404)
    const steps = await stepsOf(superuser, id)
    expect([...steps.values()].map(({ name, state }) => [name, state])).toEqual([
      ['probe', 'done'],
      ['copy', 'done'],
      ['encode', 'failed'],
      ['package 360p', 'done'],
    ])
    expect(eventsAbout(id)).toEqual(['video.error'])

    await tools.mend('encode')
    await superuser.post(`/admin/api/videos/${id}/retry/`)
    await allDone(app)
    expect((await asViewer(id)).processing_state).toBe('ready')
    expect(eventsAbout(id)).toEqual(['video.error', 'video.ready'])
  })
})

describe.each(BACKENDS)('what plays already, on %s', (backend) => {
  test('goes on playing, in whatever step processing it again fails', async () => {
    await using tools = await stepTools()
    await using app = await startApp({ backend, env: { ...tools.env, JOB_ATTEMPTS: '1' } })
    const superuser = await app.superuser()
    const before = await aReadyVideo(app, superuser, { path: await aCopyableFilm() })
    const { id } = before
    const rows = async (): Promise<string[]> =>
      (await leftOf(app, id)).filter((each) => /^(renditions|fragment|audio)/.test(each))
    const kept = await rows()
    expect(kept).toHaveLength(5)
    for (const stage of ['probe', 'copy', 'encode', 'package'] as const) {
      await tools.crash(stage)
      expect((await superuser.post(`/admin/api/videos/${id}/retry/`)).status).toBe(200)
      await allDone(app)
      await tools.mend(stage)
      const video = await adminVideo(superuser, id)
      expect([stage, video.source?.state]).toEqual([stage, 'error'])
      expect([stage, video.processing_state]).toEqual([stage, 'ready'])
      expect(await statusesOf(Object.values(before.converted_files))).toEqual([200, 200])
      expect(await statusesOf(urlsOf(video))).toEqual([200, 200, 200])
      expect([stage, await rows()]).toEqual([stage, kept])
    }
    expect((await superuser.post(`/admin/api/videos/${id}/retry/`)).status).toBe(200)
    await allDone(app)
    expect((await adminVideo(superuser, id)).source?.state).toBe('ready')
    expect(await statusesOf(urlsOf(before))).toEqual([404, 404, 404])
    // Nothing of earlier runs is left, in the rows as in the stores.
    expect(await rows()).toHaveLength(5)
    expect(await leftOf(app, id)).toHaveLength(9)
  })
})

function pathOf(url: string | null | undefined): string | null {
  return url ? new URL(url).pathname : null
}
