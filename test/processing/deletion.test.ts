import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { transact } from '../../server/src/db/database.ts'
import { STEP_TASKS } from '../../server/src/processing/step.ts'
import { isDone } from '../../server/src/tasks/queue.ts'
import { enqueueTidy } from '../../server/src/videos/tidy-tasks.ts'
import { subjectOf } from '../../server/src/videos/video-rows.ts'
import { badFilm } from '../films.ts'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import { storedKeys } from '../harness/stored.ts'
import { temporaryFolder } from '../harness/temporary-folder.ts'
import { adminVideo, allDone, replaceSource, until, upload } from '../videos/library.ts'
import {
  aCopyableFilm,
  aCopyableFilmWithSubtitles,
  aReadyVideo,
  leftOf,
  statusesOf,
  untilStep,
  urlsOf,
} from './library.ts'
import { stepTools, type Stage, type StepTools } from './step-tools.ts'

const STAGES: [Stage, string][] = [
  ['probe', 'probe'],
  ['copy', 'copy'],
  ['encode', 'encode'],
  ['subtitles', 'subtitles'],
  ['package', 'package 360p'],
]

test.each(BACKENDS)(
  'whoever has heard nothing of a commit learns of it after the film was replaced, on %s',
  async (backend) => {
    await using app = await startApp({ backend })
    const superuser = await app.superuser()
    const { id } = await aReadyVideo(app, superuser, { path: await aCopyableFilm() })
    const leases = await app.app.db
      .selectFrom('tasks')
      .select(['id', 'lease_token as leaseToken'])
      .where('subject', '=', subjectOf(id))
      .where('kind', 'in', STEP_TASKS)
      .execute()
    expect(leases.length).toBeGreaterThan(2)
    await app.worker.drain()
    await replaceSource(superuser, id, await aCopyableFilm(4))
    const answers = leases.map((lease) => transact(app.app.db, (trx) => isDone(trx, lease)))
    expect(await Promise.all(answers)).toEqual(leases.map(() => true))
    expect(await statusesOf(urlsOf(await adminVideo(superuser, id)))).not.toContain(404)
  },
)

describe.each(BACKENDS)('in the middle of processing, on %s', (backend) => {
  let tools: StepTools
  let app: TestApp
  let superuser: Client
  beforeAll(async () => {
    tools = await stepTools()
    const env = { ...tools.env, JOB_LEASE: '1', JOB_SWEEP_INTERVAL: '0.2' }
    app = await startApp({ backend, env })
    superuser = await app.superuser()
  })
  afterAll(async () => {
    await app.stop()
    await tools[Symbol.asyncDispose]()
  })
  beforeEach(() => async () => {
    await tools.letGo('probe', 'copy', 'encode', 'subtitles', 'package')
  })

  async function aVideoHeldIn(stage: Stage, step: string): Promise<number> {
    await tools.hold(stage)
    const hasSubtitles = stage === 'subtitles'
    const path = await (hasSubtitles ? aCopyableFilmWithSubtitles() : aCopyableFilm())
    const { id } = await upload(superuser, { path })
    await untilStep(superuser, id, step, 'running')
    return id
  }

  async function tidy(id: number): Promise<void> {
    await transact(app.app.db, (trx) => enqueueTidy(trx, id, [], app.clock.now()))
    const isTidied = async (): Promise<boolean> => {
      const task = await app.app.db
        .selectFrom('tasks')
        .select('id')
        .where('kind', '=', 'tidy_video')
        .where('finished_at', 'is', null)
        .where('due_at', '<=', app.clock.now())
        .executeTakeFirst()
      return task === undefined
    }
    await until(isTidied, 'all is tidied that is due')
  }

  const originals = (): Promise<string[]> => storedKeys(app, 'originals')

  test.each(STAGES)('a video that is deleted leaves nothing: %s', async (stage, step) => {
    const others = await originals()
    const id = await aVideoHeldIn(stage, step)
    expect((await superuser.delete(`/admin/api/videos/${id}/`)).status).toBe(204)
    // Still held: what runs is ended, and does not have to come to its end.
    await until(async () => (await leftOf(app, id)).length === 0, 'nothing is left')
    await until(async () => (await originals()).length === others.length, 'the original is gone')
    const { db } = app.app
    const subject = `video:${id}`
    const tasks = await db.selectFrom('tasks').select('id').where('subject', '=', subject).execute()
    expect(tasks).toEqual([])
    const steps = await db
      .selectFrom('steps')
      .select('steps.id')
      .where('source_id', 'not in', (eb) => eb.selectFrom('sources').select('id'))
      .execute()
    expect(steps).toEqual([])
  })

  test.each(STAGES)('a video that is replaced is the new film alone: %s', async (stage, step) => {
    const others = await originals()
    const id = await aVideoHeldIn(stage, step)
    await replaceSource(superuser, id, await aCopyableFilm(4))
    await tools.letGo(stage)
    const video = await until(async () => {
      const now = await adminVideo(superuser, id)
      return now.processing_state === 'ready' && now
    }, 'the new film is ready')
    expect(video.duration_ms).toBeGreaterThan(3900)
    expect(await statusesOf(urlsOf(video))).toEqual([200, 200, 200])
    await allDone(app)
    // Two renditions, their indexes and the sound as rows; two films, poster and storyboard as files.
    await until(async () => (await leftOf(app, id)).length === 9, 'nothing else is left')
    expect((await originals()).length).toBe(others.length + 1)
  })

  test('a video that is processed again when it is replaced plays on, and that run is over', async () => {
    const before = await aReadyVideo(app, superuser, { path: await aCopyableFilm() })
    const { id } = before
    const left = await leftOf(app, id)
    await tools.hold('encode')
    await superuser.post(`/admin/api/videos/${id}/retry/`)
    await untilStep(superuser, id, 'encode', 'running')
    await untilStep(superuser, id, 'package 360p', 'done')
    await replaceSource(superuser, id, await badFilm('text'))
    await allDone(app)
    expect(await adminVideo(superuser, id)).toMatchObject({
      ...{ processing_state: 'ready', is_replacing: true, source: { state: 'error' } },
    })
    expect(await statusesOf(urlsOf(before))).toEqual([200, 200, 200])
    const files = (all: string[]): string[] => all.filter((each) => !each.includes(': '))
    await until(
      async () => files(await leftOf(app, id)).join() === files(left).join(),
      'nothing is left of the runs that led to nothing',
    )
  })

  test('tidying leaves what steps still need, and takes what killed ones have left', async () => {
    const before = await aReadyVideo(app, superuser, { path: await aCopyableFilm() })
    const { id } = before
    const { media } = app.app
    const { id: sourceId } = await app.app.db
      .selectFrom('sources')
      .select('id')
      .where('video_id', '=', id)
      .executeTakeFirstOrThrow()
    await tools.hold('encode', 'package')
    await superuser.post(`/admin/api/videos/${id}/retry/`)
    await untilStep(superuser, id, 'encode', 'running')
    await untilStep(superuser, id, 'package 360p', 'running')
    await tidy(id)
    await tools.letGo('package')
    // It is named by no row yet: it replaces what plays only together with the rest.
    await untilStep(superuser, id, 'package 360p', 'done')
    await using folder = await temporaryFolder()
    const half = join(folder.path, 'half.mp4')
    await writeFile(half, 'half')
    const stale = `videos/${id}/${sourceId}-999999-1/360p.mp4`
    await media.putFile(stale, half)
    const stored = async (): Promise<string[]> => [
      ...(await storedKeys(app, 'media', `videos/${id}/`)),
      ...(await storedKeys(app, 'intermediates', `${id}/`)),
    ]
    const files = await stored()
    expect(files.filter((file) => file.endsWith('360p.mp4'))).toHaveLength(3)
    expect(files.filter((file) => file.endsWith('360p.video.mp4'))).toHaveLength(1)
    await tidy(id)
    expect(await stored()).toEqual(files)
    await tools.letGo('encode')
    await allDone(app)
    const after = await adminVideo(superuser, id)
    expect(after.source?.state).toBe('ready')
    expect(await statusesOf(urlsOf(after))).toEqual([200, 200, 200])
    expect((await stored()).filter((file) => !/\.(mp4|jpg)$/.test(file))).toEqual([])
    expect(await stored()).toHaveLength(4)
  })
})
