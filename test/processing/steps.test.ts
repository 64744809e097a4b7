import type { AdminVideo } from '@videoflix/contract'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import { adminVideo, allDone, until, upload } from '../videos/library.ts'
import { aCopyableFilm } from './library.ts'
import { stepTools, type StepTools } from './step-tools.ts'

const SECRET_KEY = 'a key that nobody sees, and of forty characters'

describe.each(BACKENDS)('what superusers are told of processing, on %s', (backend) => {
  let tools: StepTools
  let app: TestApp
  let superuser: Client
  beforeAll(async () => {
    tools = await stepTools()
    const env = { ...tools.env, SECRET_KEY, CHUNK_MIN_DURATION: '10', JOB_ATTEMPTS: '1' }
    app = await startApp({ backend, env })
    superuser = await app.superuser()
  })
  afterAll(async () => {
    await app.stop()
    await tools[Symbol.asyncDispose]()
  })

  beforeEach(() => async () => await tools.letGo('encode', 'chunk'))

  /** As it is in the list, which the page of superusers shows. */
  async function listed(id: number): Promise<AdminVideo> {
    const reply = await superuser.get('/admin/api/videos/')
    const { results } = (await reply.json()) as { results: AdminVideo[] }
    return results.find((video) => video.id === id)!
  }

  test('each step, while it is done and after', async () => {
    await tools.hold('chunk')
    const { id } = await upload(superuser, { path: await aCopyableFilm(20) })
    const percents: number[] = []
    const look = async (): Promise<AdminVideo> => {
      const video = await listed(id)
      if (video.source?.progress) percents.push(video.source.progress.percent)
      return video
    }
    const held = await until(async () => {
      const video = await look()
      const steps = new Map(video.source?.steps.map((step) => [step.name, step]))
      // Told a moment after it has begun.
      const isHeld = typeof steps.get('encode 2/3')?.command === 'string'
      return isHeld && steps.get('package 360p')?.state === 'done' && video
    }, 'the second of three chunks runs')
    expect(held.source?.progress).toEqual({
      ...{ step: 'encode 2/3', speed: null, attempt: 1 },
      // Two of four parts are encoded.
      ...{ percent: expect.closeTo(51, 0), eta_seconds: expect.any(Number) },
    })
    expect(held.source?.progress?.eta_seconds).toBeGreaterThan(0)
    for (const { name, state, command, output } of held.source?.steps ?? []) {
      const isTold = command !== null || output !== null
      expect([name, isTold]).toEqual([name, state === 'running'])
    }

    await tools.letGo('chunk')
    await until(async () => (await look()).processing_state === 'ready', 'it is ready')
    expect(percents).toEqual(percents.toSorted((one, other) => one - other))
    expect(percents.length).toBeGreaterThan(5)

    const { source } = await adminVideo(superuser, id)
    const steps = source?.steps ?? []
    expect(steps.map(({ name }) => name)).toEqual([
      ...['probe', 'copy', 'encode small', 'encode 1/3', 'encode 2/3', 'encode 3/3'],
      ...['package 360p', 'package 120p'],
    ])
    for (const step of steps) {
      expect(step).toMatchObject({ state: 'done', percent: 100, attempts: 1, error: null })
      expect(step).toMatchObject({ speed: null, eta_seconds: null })
      expect(Date.parse(step.started_at ?? '')).toBeLessThan(Date.parse(step.finished_at ?? ''))
      expect(step.output).toEqual(expect.any(String))
    }
    const commands = steps.flatMap(({ command }) => command ?? [])
    expect(commands).toHaveLength(5)
    for (const command of commands) {
      expect(command.startsWith(`${tools.env.FFMPEG_BIN} -hide_banner `)).toBe(true)
      expect(command).toMatch(new RegExp(` -i file:${app.settings.dataDir}/`))
    }
    const { database } = app.settings
    const secrets = [SECRET_KEY, ...(database.kind === 'postgres' ? [database.url] : [])]
    for (const secret of secrets) expect(JSON.stringify(source)).not.toContain(secret)
    expect((await listed(id)).source?.steps.some(({ command }) => command !== null)).toBe(false)
  })

  test('what a step that failed has said, in lists too', async () => {
    const { id } = await upload(superuser, { bad: 'scrambled pictures' })
    await allDone(app)
    const { source } = await listed(id)
    const failed = source?.steps.at(-1)
    expect(failed).toMatchObject({ name: 'encode', state: 'failed', attempts: 1 })
    expect(failed?.error).toEqual(source?.error)
    expect(failed?.command).toMatch(/libx264/)
    expect(failed?.output).toMatch(/\w+ \w+/)
    expect(failed?.finished_at).toEqual(expect.any(String))
  })

  test('an attempt that took too long, while it waits for the next one', async () => {
    await tools.hold('encode')
    await using impatient = await startApp({
      backend,
      env: { ...tools.env, JOB_TIMEOUT: '2', JOB_ATTEMPTS: '2' },
    })
    const admin = await impatient.superuser()
    const { id } = await upload(admin, { path: await aCopyableFilm() })
    const step = await until(async () => {
      const { source } = await adminVideo(admin, id)
      const encode = source?.steps.find(({ name }) => name === 'encode')
      return encode?.error && encode
    }, 'the first attempt has failed')
    expect(step).toMatchObject({ state: 'waiting', attempts: 1, error: { code: 'timed_out' } })
  })

  test('viewers see nothing of it', async () => {
    const viewer = await app.viewer()
    const { id } = await upload(superuser)
    await allDone(app)
    for (const path of ['/content/', `/content/${id}/`, `/content/${id}/playback/`]) {
      const reply = await viewer.get(path)
      expect([path, reply.status]).toEqual([path, 200])
      expect(await reply.text()).not.toMatch(/"(source|steps|command|output|progress|sha256)"/)
    }
    expect((await viewer.get(`/admin/api/videos/${id}/`)).status).toBe(403)
    expect((await app.client().get(`/admin/api/videos/${id}/`)).status).toBe(401)
  })
})
